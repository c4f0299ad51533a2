"""Names of leftovers: files and folders that operating systems, network storage and programs create for themselves."""

# In lower case, because the systems that make these files ignore case.
_NAMES = {
    *("__macosx", "network trash folder", "temporary items", "thefindbycontentfolder", "thevolumesettingsfolder"),
    *("icon\r", "desktop db", "desktop df"),  # macOS and its older file servers
    *("$recycle.bin", "recycler", "recycled", "system volume information", "config.msi", "msocache", "found.000"),
    *("$extend", "$winreagent", "$sysreset", "$getcurrent", "$windows.~bt", "$windows.~ws"),
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "autorun.inf", "picasa.ini"),  # Windows
    *("@eadir", "@tmp", "@sharebin", "@synoresource", "#recycle", "#snapshot"),  # Synology
    *("@recycle", "@recently-snapshot", "@__thumb", "~snapshot", "snapshot~"),  # QNAP, NetApp
    *("lost+found", "aquota.user", "aquota.group"),  # Linux
    *("trashbox", "recycle bin"),  # Buffalo; Netgear, Asustor
    *("__pycache__", "_gsdata_", "$av_asw", "_vti_cnf"),  # Python, GoodSync, Avast, FrontPage
}
_ENDINGS = ("@synoeastream", "@synoresource", "zone.identifier", ":encryptable")


def is_leftover(name: str) -> bool:
    """True for a leftover: a hidden file or folder (`.NAME`), or one that a system or program created for itself."""
    return name.startswith((".", "~$")) or name.lower() in _NAMES or name.lower().endswith(_ENDINGS)
