"""How phantoms and quality control are called, language by language: data, no rules.

Written as in `contrast/terms.py`. A name, an ID or a description tells a phantom only when it is
made of nothing but these words and numbers: "Phantom^Jane" and "QA123" are people.
"""

from __future__ import annotations

from enum import StrEnum


class PhantomWord(StrEnum):
    PHANTOM = "phantom"  # alone is enough
    MAYBE = "phantom, or a family name"  # is one where a check is told, too
    CHECK = "quality control"
    WHEN = "how often or which check"
    BESIDE = "what may stand beside"


PhantomTerms = dict[PhantomWord, tuple[str, ...]]

_WHEN = ("daily", "weekly", "monthly", "annual")
_KINDS = ("qa", "qc", "acr", "ct", "water", "test", "head", "body", "chest", "thorax", "lung")

PHANTOM_TERMS: dict[str, PhantomTerms] = {
    "English": {
        PhantomWord.PHANTOM: (
            *("phantom", "phantoms", "catphan", "cat phan", "gammex", "lungman", "water phantom"),
            *(f"{kind} phantom" for kind in _KINDS),
            *(f"{when} {check}" for when in _WHEN for check in ("qa", "qc")),
            *(f"{check} {when}" for when in _WHEN for check in ("qa", "qc")),
            *(f"phantom {kind}" for kind in ("qa", "qc", "test", "ct")),
            *("quality daily", "qaphantom", "zzphantom", "xxphantom", "testphantom"),
        ),
        PhantomWord.CHECK: (
            *("qa", "qc", "qa/qc", "qc/qa", "iqc", "quality control", "quality assurance"),
            *("qualitycontrol", "calibration", "air calibration", "ct calibration"),
            *("constancy test", "constancy check", "acceptance test", "water cal", "air cal"),
        ),
        PhantomWord.WHEN: (
            *(
                "daily",
                "weekly",
                "monthly",
                "quarterly",
                "annual",
                "yearly",
                "morning",
            ),
            *("uniformity", "linearity", "mtf", "ctdi", "constancy"),
            "image quality",
        ),
        PhantomWord.BESIDE: (
            *(
                "acr",
                "ct",
                "test",
                "scan",
                "scans",
                "check",
                "water",
                "air",
                "head",
                "body",
                "chest",
            ),
            *(
                "thorax",
                "lung",
                "abdomen",
                "adult",
                "pediatric",
                "small",
                "large",
                "medium",
                "cirs",
            ),
            *("anthropomorphic", "rando", "cm", "mm", "kv", "siemens", "ge", "philips", "canon"),
            *(
                "toshiba",
                "module",
                "pass",
                "series",
                "new",
                "system",
                "physics",
                "the",
                "for",
                "of",
            ),
            *(
                "16 cm",
                "20 cm",
                "32 cm",
                "cylinder",
                "scanner",
                "dose",
            ),
            *("service", "quality", "helios", "mercury", "alderson", "kyoto", "kagaku", "qrm"),
            *("copdgene", "nema", "lab", "low", "screen", "lungscreen", "screening", "routine"),
        ),
    },
    "German": {
        PhantomWord.PHANTOM: ("wasserphantom", "prüfphantom", "prüfkörper"),
        PhantomWord.CHECK: (
            *("kalibrierung", "kalibration", "konstanzprüfung", "konstanzpruefung"),
            *("abnahmeprüfung", "qualitätssicherung", "qualitätskontrolle", "luftkalibrierung"),
        ),
        PhantomWord.WHEN: (
            "woche",
            "monat",
            "täglich",
            "tägliche",
            "wöchentlich",
            "monatlich",
            "monatliche",
        ),
        PhantomWord.BESIDE: ("wasser", "luft", "gerät"),
    },
    "French": {
        PhantomWord.PHANTOM: ("fantôme eau", "fantôme d'eau", "fantôme ct", "fantôme test"),
        PhantomWord.MAYBE: ("fantôme",),
        PhantomWord.CHECK: (
            *("contrôle qualité", "contrôle de qualité", "étalonnage", "calibrage"),
        ),
        PhantomWord.WHEN: ("quotidien", "hebdomadaire", "mensuel", "annuel"),
        PhantomWord.BESIDE: ("eau", "d'eau"),
    },
    "Spanish and Portuguese": {
        PhantomWord.MAYBE: ("fantoma", "maniquí"),
        PhantomWord.CHECK: (
            *("control de calidad", "controle de qualidade", "calibración", "calibração"),
        ),
        PhantomWord.WHEN: ("diario", "diário", "semanal", "mensual", "mensal"),
        PhantomWord.BESIDE: ("agua", "água", "de"),
    },
    "Italian": {
        PhantomWord.MAYBE: ("fantoccio",),
        PhantomWord.CHECK: (
            "controllo qualità",
            "controllo di qualità",
            "calibrazione",
            "taratura",
        ),
        PhantomWord.WHEN: ("giornaliero", "settimanale", "mensile"),
        PhantomWord.BESIDE: ("acqua",),
    },
    "other European": {
        PhantomWord.PHANTOM: (
            "vattenfantom",
            "vannfantom",
            "fantom wodny",
            "водный фантом",
            "фантом водный",
        ),
        PhantomWord.MAYBE: ("fantom", "fantoom", "фантом"),
        PhantomWord.CHECK: (
            *("kalibrering", "kalibracja", "kalibrace", "калибровка", "kwaliteitscontrole"),
            *("kvalitetskontroll", "kontrola jakości", "контроль качества"),
        ),
        PhantomWord.BESIDE: ("wodny", "vatten", "водный"),
    },
    "Chinese, Japanese, Korean": {
        PhantomWord.PHANTOM: (
            *("水模", "体模", "模体", "水モ", "ファントム", "水ファントム", "팬텀", "물팬텀"),
        ),
        PhantomWord.CHECK: (
            "质控",
            "质量控制",
            "品質管理",
            "精度管理",
            "キャリブレーション",
            "정도관리",
        ),
        PhantomWord.WHEN: ("每日", "每周", "每月", "毎日", "日常", "매일"),
        PhantomWord.BESIDE: ("水", "测试", "テスト"),
    },
}
