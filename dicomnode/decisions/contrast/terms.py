"""What descriptions say of contrast, language by language: data, no rules.

Written in small letters; a blank stands for any number of blanks, hyphens, dots, underscores,
colons and backslashes, also none ("non contrast" is NON-CONTRAST and noncontrast). The longest term
at a place counts. A term of letters stands alone: "art" is not in "partial". How they are read:
`dicomnode/decisions/contrast/text.py`.
"""

from __future__ import annotations

from dicomnode.decisions.contrast.meaning import Meaning, Terms
from dicomnode.decisions.contrast.terms_asian import EAST_ASIAN

ANY_LANGUAGE: Terms = {
    Meaning.GIVEN: ("c+", "+c", "iv+", "ce", "cect", "ce ct", "angio", "bolus", "iodine"),
    Meaning.NOT_GIVEN: ("c-", "-c", "iv-", "nect", "ncct", "nc ct"),
    Meaning.BOTH: ("c-/c+", "c-/+", "c+/c-", "c+/-", "c-c+", "c- c+", "+/-c", "+/- c", "c±", "±c"),
    Meaning.NOTHING: ("c- spine", "c-spine", "-c spine", "-c-spine", "c-arm"),
}

_WITH = ("with", "w", "w/", "post", "after")
_WITHOUT = ("without", "w/o", "wo", "w/out", "non", "no", "pre", "before")
_ROUTES = ("", "iv ", "intravenous ")
_MEDIA = ("con", "cont", "contr", "contrast", "dye")
_ENTERAL = ("oral", "po", "rectal", "enteric")
_LINKS = ("and", "&", "+", "or", "/", "")
_PAIRS = tuple((a, b) for a in ("w", "w/", "with") for b in ("wo", "w/o", "without"))

ENGLISH: Terms = {
    Meaning.GIVEN: (
        *(f"{word} {route}{medium}" for word in _WITH for route in _ROUTES for medium in _MEDIA),
        *("contrast", "w/ c", "with iv", "w iv", "w/ iv", "post iv", "iv contrast"),
        *(
            "iv cont",
            "iv con",
            "post gad",
            "post gadolinium",
            "contrast given",
            "enhanced",
            "contrast enhanced",
        ),
        *("enhancement", "post injection", "after injection", "injection", "inj rate", "cta"),
        *("ctpa", "ctpe", "ctv", "angiogram", "angiography", "ct angio", "pe", "pe protocol"),
        *("pulmonary embolism", "pulmonary embolus", "pulmonary emboli", "pulm embolism"),
        *("art", "arterial", "early arterial", "late arterial", "portal", "portal venous"),
        *("portovenous", "pv", "pvp", "venous", "ven phase", "delayed", "delay", "delays"),
        *("equilibrium phase", "nephrographic", "excretory", "urographic", "perfusion"),
        *("iohexol", "iopamidol", "iodixanol", "iopromide", "omnipaque", "visipaque", "isovue"),
        *("ultravist", "optiray", "tavi", "tavr", "test bolus", "bolus tracking", "smartprep"),
    ),
    Meaning.NOT_GIVEN: (
        *(f"{word} {route}{medium}" for word in _WITHOUT for route in _ROUTES for medium in _MEDIA),
        *("without", "w/o", "wo", "w/out", "w/o c", "wo c", "nc", "no iv", "non iv", "wo iv"),
        *("w/o iv", "without iv", "pre injection", "no injection", "not injected", "unenhanced"),
        *("un enhanced", "non enhanced", "not enhanced", "without enhancement"),
        *("contrast no", "plain", "iv contrast no"),
        *(
            f"{iv} contrast {none}"
            for iv in ("", "iv", "intravenous")
            for none in ("none", "nil", "n/a", "not given", "not used", "not administered")
        ),
        *(
            f"{word} {route} {link} {iv} contrast"
            for word in ("without", "w/o", "wo", "no")
            for route in _ENTERAL
            for link in ("and", "&", "or", "/", "nor")
            for iv in ("iv", "intravenous")
        ),
    ),
    Meaning.BOTH: (
        *(f"{a} {link} {b}" for a, b in _PAIRS for link in _LINKS),
        *(f"{b} {link} {a}" for a, b in _PAIRS for link in _LINKS),
        *(f"pre {link} post" for link in _LINKS),
        *("triple phase", "multi phase", "multiphasic", "dual phase", "three phase", "3 phase"),
        *("4 phase", "four phase", "triphasic", "biphasic", "contrast if needed"),
        *("contrast as needed", "contrast prn", "+/- contrast", "+/- iv contrast"),
    ),
    Meaning.NOTHING: (
        *(f"{word} {route} contrast" for word in ("", *_WITH, *_WITHOUT) for route in _ENTERAL),
        *(f"{word} {route}" for word in ("", *_WITH, *_WITHOUT) for route in _ENTERAL),
        *("high contrast", "low contrast", "contrast resolution"),
        *("edge enhanced", "edge enhancement"),
        *("enhancement filter", "image enhancement", "enhanced ct image storage"),
        *("enhanced visualization", "contrast window"),
        *("resolution enhanced", "enhanced resolution", "plain film", "plain radiograph"),
        *("wo mip", "w/o mip", "without mip", "w/o mips", "wo mips", "wo recon", "w/o recon"),
        *("wo 3d", "w/o 3d", "w/o motion", "without motion", "without sedation", "w/o sedation"),
        *("without anesthesia", "without gating", "w/o gating", "without ecg", "w/o ecg"),
        *("state of the art", "non ionic", "ionic"),
    ),
}

_KM = ("km", "kontrastmittel", "kontrast")

GERMAN: Terms = {
    Meaning.GIVEN: (
        *("km gabe", "kontrastmittel gabe", "kontrast gabe", "kontrastverstärkt"),
        *("kontrastverstärkte", "kontrastmittelverstärkt", "pulmonalisangiographie"),
        *("km", "mit km", "m km", "nach km", "iv km", "mit kontrast"),
        *(
            "mit kontrastmittel",
            "kontrastmittel",
            "kontrast",
            "nach kontrast",
            "nach kontrastmittel",
        ),
        *(
            "arteriell",
            "arterielle",
            "art. phase",
            "portalvenös",
            "portalvenöse",
            "venös",
            "venöse",
        ),
        *("pvös", "spätphase", "lungenembolie", "lae", "angiographie", "ct angiographie"),
    ),
    Meaning.NOT_GIVEN: (
        *(
            "ohne km",
            "o km",
            "o. km",
            "ohne kontrast",
            "ohne kontrastmittel",
            "km nein",
        ),
        *(
            "ohne i.v. km",
            "kein km",
            "keine km",
            "ohne",
            "nativ",
            "native",
            "nativ ct",
            "nativphase",
        ),
        *("km-", "vor km", "kein kontrastmittel", "km 0 ml"),
        *(f"{km} {none}" for km in _KM for none in ("kein", "keine", "keines", "entfällt")),
        *(f"{no} iv {km}" for no in ("kein", "keine", "ohne") for km in ("km", "kontrast")),
        *(f"{no} {iv} {km} gabe" for no in ("keine", "ohne") for iv in ("", "iv") for km in _KM),
    ),
    Meaning.BOTH: (
        *("mit und ohne km", "mit/ohne km", "ohne und mit km", "ohne/mit km", "nativ und km"),
        *("nativ + km", "nativ/km", "nativ+km", "mit und ohne kontrastmittel", "mit und ohne"),
    ),
    Meaning.NOTHING: (
        *("oral km", "orales km", "km oral", "native lung", "native lungs", "native kidney"),
        *("native valve", "native aorta", "native resolution"),
    ),
}

FRENCH: Terms = {
    Meaning.GIVEN: (
        *("avec injection", "avec inj", "avec contraste", "avec produit de contraste", "avec pdc"),
        *(
            "injecté",
            "injectée",
            "apc",
            "après injection",
            "produit de contraste",
            "pdc",
        ),
        *("contraste", "angioscanner", "angio scanner", "artériel", "artérielle", "portale"),
        *(
            "temps portal",
            "avec iv",
            "veineux",
            "veineuse",
            "tardif",
            "embolie pulmonaire",
            "angio tdm",
        ),
    ),
    Meaning.NOT_GIVEN: (
        *("sans injection", "sans inj", "sans contraste", "sans produit de contraste", "sans pdc"),
        *(
            "sans iv",
            "sans",
            "non injecté",
            "non injectée",
            "spc",
            "avant injection",
        ),
        *("s/ injection", "pas d'injection", "pas de contraste", "pas de produit de contraste"),
        *("absence d'injection", "pdc non", "contraste non", "injection non"),
    ),
    Meaning.BOTH: (
        *(
            "sans et avec",
            "avec et sans",
            "sans puis avec",
            "sans/avec",
            "avec/sans",
            "sans & avec",
        ),
        *("sans et avec injection", "avec et sans injection", "sans puis avec injection"),
        *("sans et avec contraste", "avec ou sans", "avec ou sans injection", "+/- injection"),
    ),
    Meaning.NOTHING: ("contraste oral",),
}

SPANISH_PORTUGUESE: Terms = {
    Meaning.GIVEN: (
        *("con contraste", "con cte", "con civ", "con iv", "contrastado", "contrastada", "civ"),
        *(
            "con contraste iv",
            "c/ contraste",
            "c/contraste",
            "c/c",
            "com contraste",
            "com cte",
            "contraste no iónico",
        ),
        *("com iv", "pos contraste", "post contraste", "pós contraste", "fase arterial"),
        *("fase portal", "fase venosa", "venosa", "fase tardia", "tardía", "angiotac", "angio tac"),
        *("angiotomografia", "angiotc", "angio tc", "tromboembolismo"),
    ),
    Meaning.NOT_GIVEN: (
        *("sin contraste", "sin cte", "sin civ", "sin iv", "s/ contraste", "s/contraste"),
        *("s/c", "sem contraste", "sem cte", "sem iv", "no contrastado", "no contrastada"),
        *("sin contraste iv", "simple", "tac simple", "pre contraste", "pré contraste"),
        *("no contraste", "sin medio de contraste", "sin medio contraste", "sin uso de contraste"),
        *("sin administración de contraste", "sem meio de contraste", "sem uso de contraste"),
        *("sin administración de medio de contraste", "sem administração de contraste"),
        *("sin administrar contraste", "sin la administración de contraste", "contraste no"),
        *("sem a administração de contraste", "sem injeção de contraste", "contraste não"),
    ),
    Meaning.BOTH: (
        *("sin y con", "con y sin", "sin/con", "con/sin", "s/c y c/c", "sem e com", "com e sem"),
        *(
            "sin y con contraste",
            "con y sin contraste",
            "sem e com contraste",
            "simple y contrastada",
        ),
        *("com e sem contraste", "con o sin contraste", "simple y contrastado", "s/c/c"),
    ),
    Meaning.NOTHING: (
        "contraste oral",
        "con contraste oral",
        "sin contraste oral",
        "sin hallazgos",
    ),
}

ITALIAN: Terms = {
    Meaning.GIVEN: (
        *("con mdc", "mdc", "con m.d.c.", "con mezzo di contrasto", "con contrasto", "contrasto"),
        *("cmdc", "c/mdc", "dopo mdc", "post mdc", "mezzo di contrasto", "arteriosa"),
        *(
            "fase arteriosa",
            "fase venosa",
            "fase portale",
            "angio tc",
            "angiotc",
            "embolia polmonare",
        ),
    ),
    Meaning.NOT_GIVEN: (
        *("senza mdc", "senza m.d.c.", "senza mezzo di contrasto", "senza contrasto"),
        *("smdc", "s/mdc", "no mdc", "mdc no", "basale", "diretta", "pre mdc", "senza"),
    ),
    Meaning.BOTH: (
        *("senza e con", "con e senza", "senza e con mdc", "con e senza mdc", "senza/con mdc"),
        *("senza e con contrasto", "con e senza contrasto"),
    ),
}

NORTH_AND_EAST: Terms = {
    Meaning.GIVEN: (
        *("met contrast", "met iv contrast", "na contrast", "med kontrast", "med iv kontrast"),
        *("z kontrastem", "po kontraście", "s kontrastem", "s kontrastní látkou", "po kontrastu"),
        *("kontrastos", "kontrastowe", "kontrastlı", "kontrasztos", "varjoaine", "varjoaineella"),
        *("с контрастом", "с контрастированием", "контраст", "контрастирование", "с контр"),
        *("с в/в контрастированием", "с в/в контрастом", "артериальная", "артериальная фаза"),
        *(
            "венозная",
            "венозная фаза",
            "портальная",
            "отсроченная",
            "ангиография",
            "кт ангиография",
        ),
        *("с болюсным контрастированием", "болюс", "με σκιαγραφικό", "σκιαγραφικό"),
        *("с внутривенным контрастированием", "с контрастным усилением", "ангиопульмонография"),
        *("с в/в контрастным усилением", "контрастное усиление", "po podaniu kontrastu"),
        *("с контрастным веществом", "с болюсным усилением", "kontrasztanyaggal"),
        *("z podaniem kontrastu", "ze środkiem kontrastowym", "s iv kl", "m/kontrast"),
    ),
    Meaning.NOT_GIVEN: (
        *(
            "zonder contrast",
            "zonder iv contrast",
            "zonder",
            "blanco",
            "utan kontrast",
            "uten kontrast",
        ),
        *("utan iv kontrast", "uten iv kontrast", "nativt", "bez kontrastu"),
        *(
            "bez kontrastní látky",
            "natywne",
            "nativní",
            "natív",
            "kontrastsız",
            "ilman varjoainetta",
        ),
        *("без контраста", "без контрастирования", "без контр", "без в/в контрастирования"),
        *("без усиления", "нативное", "нативная", "нативная фаза", "нативно", "χωρίς σκιαγραφικό"),
        *("без внутривенного контрастирования", "без контрастного усиления", "u/kontrast"),
        *("bez podania kontrastu", "bez środka kontrastowego", "natiivi", "nativně", "geen iv"),
        *(
            f"kontrast {madde} {none}"
            for madde in ("", "madde")
            for none in ("verilmeden", "verilmedi", "kullanılmadan")
        ),
        *(f"geen {iv} contrast" for iv in ("", "iv")),
        *(f"{no} {iv} kontrast" for no in ("ingen", "inget", "ikke", "uden") for iv in ("", "iv")),
    ),
    Meaning.BOTH: (
        *("met en zonder contrast", "zonder en met contrast", "med och utan kontrast"),
        *("utan och med kontrast", "med og uten kontrast", "uten og med kontrast"),
        *("bez i z kontrastem", "z i bez kontrastu", "с и без контраста", "без и с контрастом"),
        *("без и с контрастированием", "с и без контрастирования"),
    ),
}

LANGUAGES: dict[str, Terms] = {
    "any": ANY_LANGUAGE,
    "English": ENGLISH,
    "German": GERMAN,
    "French": FRENCH,
    "Spanish and Portuguese": SPANISH_PORTUGUESE,
    "Italian": ITALIAN,
    "other European": NORTH_AND_EAST,
    "Chinese, Japanese, Korean": EAST_ASIAN,
}
"""A term may stand in several languages only with the same meaning."""
