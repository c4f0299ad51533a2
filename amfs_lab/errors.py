"""What can go wrong, by kind. Every message says what was expected, what we got, and what to do."""


class AmfsError(Exception):
    """Any error that amfs_lab raises on purpose; the command line prints its message and exits with 2."""


class ConfigError(AmfsError, ValueError):
    """A setting that cannot be: a negative bandwidth, more ways than the split has classes."""


class DataError(AmfsError, ValueError):
    """Data that is not what it should be: a truncated file, a wrong hash, NaN among the features."""


class NumericalError(AmfsError, ArithmeticError):
    """A computation that has no answer in this precision: a failed factorisation, a loss that is not finite."""
