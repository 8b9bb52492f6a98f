"""Names and codes of languages.

The two-letter codes of ISO 639-1 with their English names (Library of Congress, "Codes for the
Representation of Names of Languages", https://www.loc.gov/standards/iso639-2/php/code_list.php),
the first name where there are several; and a few three-letter codes of ISO 639-3 that have no
shorter one and are common in speech corpora.
"""

from __future__ import annotations

from soritune.errors import UserError, nearest

_TABLE = """
aa Afar|ab Abkhazian|ae Avestan|af Afrikaans|ak Akan|am Amharic|an Aragonese|ar Arabic|as Assamese
av Avaric|ay Aymara|az Azerbaijani|ba Bashkir|be Belarusian|bg Bulgarian|bi Bislama|bm Bambara
bn Bengali|bo Tibetan|br Breton|bs Bosnian|ca Catalan|ce Chechen|ch Chamorro|co Corsican|cr Cree
cs Czech|cu Church Slavic|cv Chuvash|cy Welsh|da Danish|de German|dv Divehi|dz Dzongkha|ee Ewe
el Greek|en English|eo Esperanto|es Spanish|et Estonian|eu Basque|fa Persian|ff Fulah|fi Finnish
fj Fijian|fo Faroese|fr French|fy Western Frisian|ga Irish|gd Gaelic|gl Galician|gn Guarani
gu Gujarati|gv Manx|ha Hausa|he Hebrew|hi Hindi|ho Hiri Motu|hr Croatian|ht Haitian|hu Hungarian
hy Armenian|hz Herero|ia Interlingua|id Indonesian|ie Interlingue|ig Igbo|ii Sichuan Yi|ik Inupiaq
io Ido|is Icelandic|it Italian|iu Inuktitut|ja Japanese|jv Javanese|ka Georgian|kg Kongo|ki Kikuyu
kj Kuanyama|kk Kazakh|kl Kalaallisut|km Central Khmer|kn Kannada|ko Korean|kr Kanuri|ks Kashmiri
ku Kurdish|kv Komi|kw Cornish|ky Kirghiz|la Latin|lb Luxembourgish|lg Ganda|li Limburgan|ln Lingala
lo Lao|lt Lithuanian|lu Luba-Katanga|lv Latvian|mg Malagasy|mh Marshallese|mi Maori|mk Macedonian
ml Malayalam|mn Mongolian|mr Marathi|ms Malay|mt Maltese|my Burmese|na Nauru|nb Norwegian Bokmål
nd North Ndebele|ne Nepali|ng Ndonga|nl Dutch|nn Norwegian Nynorsk|no Norwegian|nr South Ndebele
nv Navajo|ny Chichewa|oc Occitan|oj Ojibwa|om Oromo|or Oriya|os Ossetian|pa Panjabi|pi Pali
pl Polish|ps Pushto|pt Portuguese|qu Quechua|rm Romansh|rn Rundi|ro Romanian|ru Russian
rw Kinyarwanda|sa Sanskrit|sc Sardinian|sd Sindhi|se Northern Sami|sg Sango|si Sinhala|sk Slovak
sl Slovenian|sm Samoan|sn Shona|so Somali|sq Albanian|sr Serbian|ss Swati|st Southern Sotho
su Sundanese|sv Swedish|sw Swahili|ta Tamil|te Telugu|tg Tajik|th Thai|ti Tigrinya|tk Turkmen
tl Tagalog|tn Tswana|to Tonga|tr Turkish|ts Tsonga|tt Tatar|tw Twi|ty Tahitian|ug Uighur
uk Ukrainian|ur Urdu|uz Uzbek|ve Venda|vi Vietnamese|vo Volapük|wa Walloon|wo Wolof|xh Xhosa
yi Yiddish|yo Yoruba|za Zhuang|zh Chinese|zu Zulu
yue Cantonese|haw Hawaiian|ceb Cebuano|fil Filipino|ast Asturian|ckb Central Kurdish|kab Kabyle
hsb Upper Sorbian|mhr Eastern Mari|nan Southern Min Chinese
"""
LANGUAGE_NAMES: dict[str, str] = {
    code: name
    for line in _TABLE.split("\n")
    for code, _, name in (entry.partition(" ") for entry in line.split("|") if entry)
}
_CODES = {name.lower(): code for code, name in LANGUAGE_NAMES.items()}


def known_language(code: str) -> str:
    """Return the English name of a language given by its code or name.

    A capitalised name that is not in the table is taken as it is, for languages without a code
    ("Jejueo"). Raises UserError for anything else, with the nearest right word.
    """
    if code in LANGUAGE_NAMES:
        return LANGUAGE_NAMES[code]
    if code.lower() in _CODES:
        return LANGUAGE_NAMES[_CODES[code.lower()]]
    if len(code) > 3 and code.istitle() and code.replace(" ", "").isalpha():
        return code
    hint = nearest(code.lower(), _CODES) or "; codes are like en or de"
    raise UserError(f'"{code}" is not a language that soritune knows{hint}')


def language_code(language: str) -> str:
    """Return the code of a language given as a code (ko), a tag (ko-KR) or a name (Korean)."""
    language = language.strip().lower()
    return _CODES.get(language, language.replace("_", "-").partition("-")[0])


def language_name(code: str) -> str:
    """Return the English name of a language code; a code without a name as it is."""
    return LANGUAGE_NAMES.get(code, code)
