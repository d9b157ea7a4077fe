"""How consoles and people write that no agent was given, language by language: data, no rules.

Written as in `contrast/terms.py`, whose terms of "not given" refuse too. A text refuses only when
it is made of nothing else: NON IONIC is an agent, and so is "Omnipaque, no reaction".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusals:
    """`none`: words that refuse where an agent is asked for. `beside`: words that may go along."""

    none: tuple[str, ...]
    beside: tuple[str, ...] = ()


REFUSALS: dict[str, Refusals] = {
    "any": Refusals(("c-", "-c", "0"), ("iv", "i.v.", "ct", "c", "km", "kontrast")),
    "English": Refusals(
        (
            *("none", "no", "n", "nil", "negative", "neg", "false", "non", "not", "nothing", "nc"),
            *("not given", "not used", "not administered", "not injected", "not applied"),
            *("not required", "not needed", "zero", "omitted", "refused", "without", "w/o", "wo"),
        ),
        (
            *("contrast", "agent", "agents", "medium", "media", "dye", "bolus", "intravenous"),
            *("given", "used", "administered", "injected", "applied", "required", "needed"),
            *("was", "is", "has", "been", "any", "at all", "for this", "scan", "exam", "study"),
            *("injection", "iodine", "iodinated", "material", "enhancement"),
        ),
    ),
    "German": Refusals(
        (
            *("nein", "kein", "keine", "keines", "keins", "ohne", "nicht", "nichts", "entfällt"),
            *("nativ", "native", "nicht gegeben", "nicht verabreicht"),
        ),
        (
            *("kontrastmittel", "kontrast", "km", "gabe", "gegeben", "verabreicht", "appliziert"),
            *("injiziert", "verwendet", "wurde", "kontrastmittelgabe", "km gabe", "untersuchung"),
        ),
    ),
    "French": Refusals(
        ("aucun", "aucune", "néant", "rien", "sans", "pas de", "pas d'", "pas"),
        (
            *(
                "contraste",
                "produit de contraste",
                "pdc",
                "injection",
                "injecté",
                "injectée",
                "iode",
            ),
            *("produit", "administré", "utilisé", "d'", "de"),
        ),
    ),
    "Spanish and Portuguese": Refusals(
        ("ninguno", "ninguna", "nada", "sin", "não", "nao", "nenhum", "nenhuma", "sem", "negativo"),
        (
            *("contraste", "medio de contraste", "meio de contraste", "civ", "cte", "inyección"),
            *("administrado", "administrada", "se administró", "utilizado", "yodo", "iodo"),
        ),
    ),
    "Italian": Refusals(
        ("nessuno", "nessun", "niente", "senza", "non somministrato", "non eseguito"),
        ("mdc", "mezzo di contrasto", "contrasto", "somministrato", "iniezione"),
    ),
    "other European": Refusals(
        (
            *("nee", "geen", "zonder", "nej", "nei", "ingen", "inget", "inte", "utan", "uten"),
            *("uden", "nie", "brak", "bez", "ne", "žádný", "žádná", "нет", "без", "не вводился"),
            *("не вводили", "не применялся", "yok", "hayır", "nincs", "nem", "ei", "όχι", "χωρίς"),
        ),
        (
            *("contrastmiddel", "kontrastmedel", "kontrastmiddel", "kontrastu", "kontrast"),
            *("kontrastní látky", "контраста", "контраст", "контрастного вещества", "gegeven"),
            *("given", "gitt", "gett", "podano", "kontrastanyag", "varjoainetta", "toegediend"),
        ),
    ),
    "Chinese, Japanese, Korean": Refusals(
        (
            *("无", "無", "否", "没有", "沒有", "未用", "不用", "未使用", "未注射", "なし", "無し"),
            *(
                "无造影剂",
                "無造影劑",
                "造影剤無",
                "无对比剂",
                "無造影剤",
                "いいえ",
                "없음",
                "아니오",
                "무",
                "사용 안함",
                "未施行",
            ),
        ),
        ("造影剂", "造影劑", "造影剤", "对比剂", "對比劑", "使用", "조영제", "造影", "注射"),
    ),
}

NOT_TOLD = frozenset(
    {
        *("", "UNKNOWN", "UNK", "N/A", "NA", "N.A.", "N. A.", "NOT APPLICABLE", "NOT AVAILABLE"),
        *(
            "NOT STATED",
            "NOT INDICATED",
            "NOT SPECIFIED",
            "UNSPECIFIED",
            "UNDEFINED",
            "NULL",
            "NAN",
            "NOT KNOWN",
            "TBD",
            "(NULL)",
        ),
        *("UNBEKANNT", "K.A.", "INCONNU", "DESCONOCIDO", "DESCONHECIDO", "SCONOSCIUTO"),
        *("ONBEKEND", "OKÄND", "UKENDT", "UKJENT", "НЕИЗВЕСТНО", "不明", "未知", "알 수 없음"),
        # dummies of de-identification (PS3.15 table E.1-1, Z/D for Contrast/Bolus Agent):
        # dicom-anonymizer 2.1.0 writes the first where the attribute was empty, too
        *("ANONYMIZED", "ANONYMISED", "ANONYMOUS", "ANON", "DEIDENTIFIED", "DE-IDENTIFIED"),
        *("REMOVED", "REDACTED", "MASKED", "CLEANED", "DUMMY", "PRIVATE", "CONFIDENTIAL"),
        *("HIDDEN", "DELETED", "XX", "XXX", "XXXX", "XXXXX"),
    }
)
"""Texts that stand for no answer, in capitals and whole; marks alone (?, --, .) are none either."""
