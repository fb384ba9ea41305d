"""Which stain a cell of the manifest names: haematoxylin and eosin, which is read, or one for the pathologist alone."""

import re
import unicodedata

_HE = ("he", "hes")
"""Haematoxylin and eosin, with saffron too: what the software reads."""

_HE_LETTERS = (("h(?:ae|e|a)matox[yi]lin(?:[ae](?!osin))?", "h"), ("eosin[ae]?", "e"), ("saff?r[ao]n", "s"))

_BESIDE = re.compile("and|und|et|y|stain(?:ed|ing)?|slide|section|levels?|l|(?:re)?cut|deeper|initial")
"""Words that may stand in its name: "and", and which of several slides it is."""

_OTHER_STAIN = re.compile(
    "(?:ihc|ihk|if|dab|aec|dapi|d?dish|[cs]?ish|fish|marker|osna|special|unstained|blank"
    "|p?ck|panck|ae|cam|mnf|oscar|lu|be|ber|epcam|moc|er|pr|pgr|ar|her|ki|mib|gata|trps|mammaglobin|gcdfp|e?cadherin"
    "|catenin|ema|cea|muc|actin|sma|desmin|calponin|vimentin|cd|p|s|d|sox|hmb|melana?|mart|ttf|pax|synaptophysin"
    "|chromogranin|podoplanin|pdl?|egfr"
    "|pasd?|dpas|abpas|alcian|giemsa|gram|masson|trichrome|gieson|evg|elastica?|reticulin|silver|gomori|gms|grocott|hps"
    "|congo|iron|prussian|perls|ziehl|afb|toluidine|methylene|papanicolaou|pap|mgg|wright|feulgen|phloxine)[0-9]*"
    "|immun.*|fluor.*|.*keratin.*"
)
"""Stains, antibodies and methods that only the pathologist reads. A name that is neither H&E nor one of these is an
error: an unknown spelling of H&E, taken for another stain, would drop its slide from the stage."""


def names_he(stain: str) -> bool | None:
    """Whether a cell names haematoxylin and eosin, or another stain; None where it names neither, or both."""
    plain = unicodedata.normalize("NFKD", stain).encode("ascii", "ignore").decode().casefold()
    for name, letter in _HE_LETTERS:
        plain = re.sub(name, letter, plain)
    words = re.findall("[a-z0-9]+", plain)
    others = [word for word in words if word != "s" and _OTHER_STAIN.fullmatch(word)]
    names = [word.rstrip("0123456789") for word in words if word not in others]
    is_he = "".join(name for name in names if not _BESIDE.fullmatch(name)) in _HE
    return None if is_he == bool(others) else is_he
