"""What descriptions and reasons say of contrast but not of this scan, language by language: data.

Allergies, contraindications, a refusal, an earlier scan. Written as in `contrast/terms.py`, with
which they are read together; the longer term hides the medium within it.
"""

from __future__ import annotations

_ENGLISH_AGENTS = (
    *("iodine", "contrast", "iv contrast", "contrast media", "contrast medium", "dye", "iv dye"),
    *("iodinated contrast", "intravenous contrast", "contrast dye"),
)
_ILL = (
    *("allergy", "allergies", "allergic", "reaction", "sensitivity", "intolerance", "intolerant"),
    *("hypersensitivity", "anaphylaxis", "contraindication", "contraindications"),
)
_AFTER_AGENT = (*_ILL, "contraindicated", "nephropathy", "induced nephropathy", "refused")
_NOT_WANTED = (
    *("avoid", "avoiding", "refused", "refuses", "declined", "declines", "cannot have"),
    *("unable to have", "unable to receive", "unable to tolerate", "prior", "previous"),
)
_KM = ("km", "kontrastmittel", "kontrast")
_KM_ILL = (
    *("allergie", "allergisch", "unverträglichkeit", "unvertraeglichkeit", "reaktion", "exanthem"),
    *("überempfindlichkeit", "kontraindikation", "kontraindiziert", "nicht möglich", "verzicht"),
)
_IBERIAN_ILL = (
    *("alergia", "alérgico", "alérgica", "reacción", "reação", "contraindicación"),
    *("contraindicado", "contraindicada", "contraindicação"),
)

HISTORY: dict[str, tuple[str, ...]] = {
    "English": (
        *(
            f"{no} {agent} {ill}"
            for no in ("", "no")
            for agent in _ENGLISH_AGENTS
            for ill in _AFTER_AGENT
        ),
        *(
            f"{no} {ill} to {agent}"
            for no in ("", "no")
            for ill in _ILL
            for agent in _ENGLISH_AGENTS
        ),
        *(f"{verb} {agent}" for verb in _NOT_WANTED for agent in _ENGLISH_AGENTS),
    ),
    "German": (
        *(f"{no} {km} {ill}" for no in ("", "keine") for km in _KM for ill in _KM_ILL),
        *(f"{ill} {to} {km}" for ill in _KM_ILL for to in ("auf", "gegen", "für") for km in _KM),
        *("keine allergie auf kontrastmittel", "allergie km"),
    ),
    "French": (
        *("allergie produit de contraste", "allergie au produit de contraste"),
        *("allergie contraste", "allergie aux produits de contraste", "site d'injection"),
        *(
            f"contre indication {to} {medium}"
            for to in ("", "à l'", "au")
            for medium in ("injection", "contraste", "produit de contraste")
        ),
    ),
    "Spanish and Portuguese": (
        *("sin alergia al contraste", "sem alergia ao contraste"),
        *(
            f"{ill} {to} {medium}"
            for ill in _IBERIAN_ILL
            for to in ("", "a", "al", "ao", "de", "del", "do", "para")
            for medium in ("contraste", "medio de contraste", "meio de contraste")
        ),
    ),
    "Italian": (
        *(
            f"{ill} {to} {medium}"
            for ill in ("allergia", "allergico", "allergica", "reazione", "controindicazione")
            for to in ("", "a", "al")
            for medium in ("mdc", "contrasto", "mezzo di contrasto")
        ),
    ),
    "other European": (
        *("allergisk mot kontrast", "allergi mot kontrast", "kontrast allergi"),
        *("allergisch voor contrast", "contrast allergie", "allergie voor contrast"),
        *("uczulenie na kontrast", "alergia na kontrast", "alergie na kontrast"),
        *("аллергия на контраст", "аллергия на контрастное вещество"),
    ),
    "Chinese, Japanese, Korean": (
        *("造影剂过敏", "造影劑過敏", "造影剂禁忌", "造影剂不良反应", "造影剤アレルギー"),
        *("造影アレルギー", "造影剤禁忌", "造影禁忌", "造影剤副作用", "造影不可"),
        *("조영제 알레르기", "조영제 알러지", "조영제 과민", "조영제 부작용"),
    ),
}
