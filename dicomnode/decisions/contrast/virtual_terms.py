"""What workstations call maps and virtual images, language by language: data, no rules.

Written as in `contrast/terms.py`, with which they are read together: a "virtual non contrast" image
is no proof of a scan without contrast, it is made of one with it.
"""

from __future__ import annotations

from dicomnode.decisions.contrast.meaning import Meaning, Terms

ANY_LANGUAGE: Terms = {
    Meaning.MADE_OF_CONTRAST: (
        *(
            "vnc",
            "vue",
            "vni",
            "pbv",
            "lung pbv",
            "iodine no water",
            "iodine water",
            "water iodine",
        ),
        *("iodine (water)", "water (iodine)", "iodine (fat)", "fat (iodine)", "iodine (calcium)"),
        *("calcium (iodine)", "iodine hap", "iodine (hap)", "hap (iodine)", "msi iodine"),
    ),
    Meaning.MAP: (
        *("[ hu* ]", "[ mg/ml ]", "[ mg/cc ]", "[ mg/cm3 ]", "[ g/l ]", "[ % edw ]", "% edw"),
        *("[ z ]", "[ hu_mod ]", "vnca", "ca supp", "casupp", "z eff", "eff z", "zeff", "rho"),
        *("rho/z", "rho z", "z/rho", "rho eff", "z map", "water (calcium)", "calcium (water)"),
        *("hap (water)", "water (hap)", "fat (water)", "water (fat)", "uric acid (hap)"),
        *("pure lumen", "pure calcium", "xenon map", "xe map", "de gout", "hardplaque"),
    ),
    Meaning.MONOENERGETIC: ("monoe", "mono e", "mono+", "mono plus", "vmi", "vmi+", "vme", "vmono"),
    Meaning.NOT_GIVEN: ("tnc", "true non contrast", "true unenhanced", "true non enhanced"),
}

_PLAIN = ("non contrast", "noncontrast", "unenhanced", "non enhanced", "un enhanced", "non con")
_PLAIN_TOO = (
    "non iodine",
    "without contrast",
    "plain",
    "native",
    "nc",
    "wo contrast",
    "no contrast",
)

ENGLISH: Terms = {
    Meaning.MADE_OF_CONTRAST: (
        *(f"virtual {plain}" for plain in (*_PLAIN, *_PLAIN_TOO)),
        *(f"virtually {plain}" for plain in _PLAIN),
        *("iodine map", "iodine density", "iodine overlay", "iodine concentration", "iodine image"),
        *("iodine removed", "iodine removal", "iodine suppressed", "iodine suppression"),
        *("iodine subtracted", "iodine subtraction", "contrast removed", "contrast suppressed"),
        *(f"virt {plain}" for plain in _PLAIN),
        *(
            "virtual unenh",
            "md iodine",
            "contrast enhanced structures",
            "perfused blood volume",
            "iodine only",
            "iodine uptake",
        ),
    ),
    Meaning.MAP: (
        *(
            "electron density",
            "effective z",
            "z effective",
            "effective atomic number",
            "eff atomic",
        ),
        *("effective atomic no", "atomic number", "eff atomic num", "effective density"),
        *(
            "calcium supp",
            "ca suppression",
            "md water",
            "photoelectric",
            "calcium suppression",
            "calcium suppressed",
            "calcium removed",
            "calcium only",
        ),
        *("virtual non calcium", "virtual noncalcium", "virtual non ca", "bone marrow edema map"),
        *("uric acid", "uric acid removed", "material density", "material decomposition"),
        *("material specific", "material removed", "material map", "water density", "fat map"),
        *("calcium map", "calcium density", "fat fraction", "stopping power", "proton density map"),
    ),
    Meaning.MONOENERGETIC: (
        *("monoenergetic", "mono energetic", "monoenergetic plus", "virtual monoenergetic"),
        *(
            "low kev",
            "high kev",
            "spectral monoe",
            "monochromatic",
            "virtual monochromatic",
            "mono energy",
            "mono energetic plus",
        ),
    ),
}

GERMAN: Terms = {
    Meaning.MADE_OF_CONTRAST: (
        *("virtuell nativ", "virtuelle nativ", "virtuell native", "virtuelle native"),
        *(
            "virtuelle nativphase",
            "virtuelle nativserie",
            "virtuelles nativbild",
            "virtuell ohne km",
        ),
        *(
            "virtuelle nativaufnahme",
            "virtuelle nativaufnahmen",
            "virtuelle nativbilder",
            "virtuell nativ ct",
            "virtuell ohne kontrastmittel",
        ),
        *("jodkarte", "iodkarte", "jod karte", "iod karte", "jodbild", "joddichte", "jod map"),
        *("jodverteilung", "jodkonzentration", "jodsubtraktion"),
    ),
    Meaning.MAP: (
        *("elektronendichte", "effektive ordnungszahl", "effektive kernladungszahl"),
        *("kalziumsuppression", "calciumsuppression", "virtuell ohne kalzium", "harnsäure"),
        *("materialdichte", "materialzerlegung"),
    ),
    Meaning.MONOENERGETIC: ("monoenergetisch", "monoenergetische", "virtuell monoenergetisch"),
    Meaning.NOT_GIVEN: ("echt nativ", "wahre nativphase"),
}

FRENCH: Terms = {
    Meaning.MADE_OF_CONTRAST: (
        *("sans contraste virtuel", "sans injection virtuel", "sans injection virtuelle"),
        *("virtuel sans contraste", "virtuelle sans contraste", "virtuel sans injection"),
        *("virtuelle sans injection", "virtuel non injecté", "non injecté virtuel"),
        *(
            "sans iode virtuel",
            "virtuel sans iode",
            "carte d'iode",
            "carte iode",
            "cartographie iode",
        ),
        *("cartographie d'iode", "carte d iode", "densité d'iode", "iode sans eau"),
    ),
    Meaning.MAP: (
        *("densité électronique", "numéro atomique effectif", "z effectif", "acide urique"),
        *("suppression du calcium", "suppression calcique", "virtuel sans calcium"),
    ),
    Meaning.MONOENERGETIC: (
        *("monoénergétique", "mono énergétique", "monoénergie", "monochromatique"),
    ),
    Meaning.NOTHING: (
        *(f"vue {what}" for what in ("axiale", "coronale", "sagittale", "pulmonaire", "osseuse")),
        *(f"vue {what}" for what in ("d'ensemble", "3d", "globale", "transverse", "de face")),
        *("vue poumon", "vue parenchyme", "vue médiastin", "vue mediastinale", "vue pacs"),
        *("vues axiales", "sous vni", "patient vni"),
    ),
}

SPANISH_PORTUGUESE: Terms = {
    Meaning.MADE_OF_CONTRAST: (
        *("sin contraste virtual", "virtual sin contraste", "simple virtual", "virtual simple"),
        *("sem contraste virtual", "virtual sem contraste", "mapa de yodo", "mapa de iodo"),
        *(
            "mapa yodo",
            "mapa iodo",
            "densidad de yodo",
            "densidade de iodo",
            "virtual no contrastado",
        ),
    ),
    Meaning.MAP: (
        *("densidad electrónica", "densidade eletrônica", "número atómico efectivo", "z efectivo"),
        *("número atômico efetivo", "z efetivo", "ácido úrico", "supresión de calcio"),
        *("supressão de cálcio",),
    ),
    Meaning.MONOENERGETIC: ("monoenergética", "monoenergético", "monocromática", "monocromático"),
}

ITALIAN: Terms = {
    Meaning.MADE_OF_CONTRAST: (
        *(
            "senza mdc virtuale",
            "virtuale senza mdc",
            "virtuale senza contrasto",
            "basale virtuale",
        ),
        *("senza contrasto virtuale", "virtuale basale", "mappa di iodio", "mappa dello iodio"),
        *("mappa iodio", "densità di iodio", "mappe di iodio"),
    ),
    Meaning.MAP: (
        *("densità elettronica", "numero atomico efficace", "z efficace", "acido urico"),
        *("soppressione del calcio", "soppressione calcio"),
    ),
    Meaning.MONOENERGETIC: ("monoenergetiche", "monoenergetici", "monocromatica"),
}

NORTH_AND_EAST: Terms = {
    Meaning.MADE_OF_CONTRAST: (
        *("virtueel blanco", "virtueel zonder contrast", "jodiumkaart", "jodium map", "jodkarta"),
        *(
            "virtuell utan kontrast",
            "virtuell uten kontrast",
            "virtuel uden kontrast",
            "virtuellt nativ",
        ),
        *("virtuell nativserie", "jodkart", "jodkort", "wirtualna bez kontrastu", "mapa jodowa"),
        *("wirtualne bez kontrastu", "wirtualna natywna", "mapa jodu", "virtuální nativní"),
        *("virtuální bez kontrastu", "jódová mapa", "jódtérkép", "virtuális natív"),
        *("виртуальная нативная", "виртуальное бесконтрастное", "виртуальная бесконтрастная"),
        "виртуально нативная",
        *("виртуальное нативное", "виртуальный без контраста", "карта йода", "йодная карта"),
        *("iyot haritası", "sanal kontrastsız"),
    ),
    Meaning.MAP: (
        *("elektronendichtheid", "elektrondensitet", "elektrontäthet", "gęstość elektronowa"),
        *("электронная плотность", "эффективный атомный номер", "подавление кальция"),
    ),
    Meaning.MONOENERGETIC: (
        *("monoenergetyczny", "monoenergetyczne", "monoenergetisk", "monoenergetiska"),
        *("monoenergetické", "моноэнергетическое", "моноэнергетический", "моноэнергетическая"),
    ),
}

EAST_ASIAN: Terms = {
    Meaning.MADE_OF_CONTRAST: (
        *("虚拟平扫", "虛擬平掃", "虚拟非增强", "虚拟去碘", "虚拟无增强", "碘图", "碘圖", "碘密度"),
        *(
            "碘基",
            "ヨード画像",
            "碘基图",
            "碘水图",
            "碘(水)",
            "水(碘)",
            "碘浓度",
            "去碘",
            "仮想単純",
            "仮想非造影",
        ),
        *("バーチャル単純", "ヨードマップ", "ヨード密度", "ヨード密度画像", "가상 비조영"),
        *("가상비조영", "요오드 맵", "요오드맵", "요오드 지도"),
    ),
    Meaning.MAP: (
        *(
            "有效原子序数",
            "有效原子序數",
            "电子密度",
            "電子密度",
            "実効原子番号",
            "钙抑制",
            "钙去除",
        ),
        *("尿酸", "カルシウム抑制", "유효 원자 번호", "유효원자번호", "전자 밀도", "전자밀도"),
    ),
    Meaning.MONOENERGETIC: (
        *("单能", "单能量", "單能量", "虚拟单能", "虚拟单能量", "単色", "仮想単色", "仮想単色x線"),
        *("단일에너지", "단일 에너지", "가상 단색", "단색"),
    ),
}

VIRTUAL_LANGUAGES: dict[str, Terms] = {
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
