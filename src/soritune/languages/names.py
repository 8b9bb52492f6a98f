"""Names and codes of languages.

The two-letter codes of ISO 639-1 with their English names (Library of Congress, "Codes for the
Representation of Names of Languages", https://www.loc.gov/standards/iso639-2/php/code_list.php),
the first name where there are several; and a few three-letter codes of ISO 639-3 that have no
shorter one and are common in speech corpora. Kanuri has its three letters here: who writes kr
means Korea.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

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
kj Kuanyama|kk Kazakh|kl Kalaallisut|km Central Khmer|kn Kannada|ko Korean|ks Kashmiri
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
hsb Upper Sorbian|kau Kanuri|mhr Eastern Mari|nan Southern Min Chinese
"""
LANGUAGE_NAMES: dict[str, str] = {
    code: name
    for line in _TABLE.split("\n")
    for code, _, name in (entry.partition(" ") for entry in line.split("|") if entry)
}
# ISO 639-2 (both kinds) and 639-3 to ISO 639-1; the language that is meant where data sets have a
# member of a group (cmn, arb), and the codes that were given up (iw).
_LONGER = """
aar=aa abk=ab ave=ae afr=af aka=ak amh=am arg=an ara=ar arb=ar asm=as ava=av aym=ay aze=az
azj=az bak=ba bel=be bul=bg bis=bi bam=bm ben=bn bod=bo tib=bo bre=br bos=bs cat=ca che=ce
cha=ch cos=co cre=cr ces=cs cze=cs chu=cu chv=cv cym=cy wel=cy dan=da deu=de ger=de div=dv
dzo=dz ewe=ee ell=el gre=el eng=en epo=eo spa=es ekk=et est=et baq=eu eus=eu fas=fa per=fa
pes=fa ful=ff fin=fi fij=fj fao=fo fra=fr fre=fr fry=fy gle=ga gla=gd glg=gl grn=gn guj=gu
glv=gv hau=ha heb=he iw=he hin=hi hmo=ho hrv=hr hat=ht hun=hu arm=hy hye=hy her=hz ina=ia in=id
ind=id ile=ie ibo=ig iii=ii ipk=ik ido=io ice=is isl=is ita=it iku=iu jpn=ja jav=jv geo=ka
kat=ka kon=kg kik=ki kua=kj kaz=kk kal=kl khm=km kan=kn kor=ko kas=ks kur=ku kom=kv
mo=ro cor=kw kir=ky lat=la ltz=lb lug=lg lim=li lin=ln lao=lo lit=lt lub=lu lav=lv lvs=lv mlg=mg
plt=mg mah=mh mao=mi mri=mi mac=mk mkd=mk mal=ml khk=mn mon=mn mar=mr may=ms msa=ms zsm=ms
mlt=mt bur=my mya=my nau=na nob=nb nde=nd nep=ne npi=ne ndo=ng dut=nl nld=nl nno=nn nor=no
nbl=nr nav=nv nya=ny oci=oc oji=oj gaz=om orm=om ori=or ory=or oss=os pan=pa pli=pi pol=pl
pbt=ps pus=ps por=pt que=qu roh=rm run=rn ron=ro rum=ro rus=ru kin=rw san=sa srd=sc snd=sd
sme=se sag=sg sin=si slk=sk slo=sk slv=sl smo=sm sna=sn som=so alb=sq als=sq sqi=sq srp=sr
ssw=ss sot=st sun=su swe=sv swa=sw swh=sw tam=ta tel=te tgk=tg tha=th tir=ti tuk=tk tgl=tl
tsn=tn ton=to tur=tr tso=ts tat=tt twi=tw tah=ty uig=ug ukr=uk urd=ur uzb=uz uzn=uz ven=ve
vie=vi vol=vo wln=wa wol=wo xho=xh ji=yi ydd=yi yid=yi yor=yo zha=za chi=zh cmn=zh zho=zh zul=zu
jw=jv
"""
_SHORTER = dict(entry.split("=") for entry in _LONGER.split())
# Other names in the list of ISO 639-2 and in Whisper's, and what some are called by those who speak
# them.
_OTHER_NAMES = """
mandarin=zh castilian=es flemish=nl valencian=ca moldavian=ro moldovan=ro punjabi=pa pashto=ps
sinhalese=si kyrgyz=ky khmer=km uyghur=ug odia=or farsi=fa myanmar=my maldivian=dv dhivehi=dv
letzeburgesch=lb haitian_creole=ht scottish_gaelic=gd nynorsk=nn bokmål=nb slovene=sl frisian=fy
modern_greek=el
bokmal=nb corean=ko
한국어=ko 한국말=ko 조선말=ko 조선어=ko 국어=ko 한글=ko 韓国語=ko 韩语=ko 韓語=ko 朝鲜语=ko
영어=en 중국어=zh 일본어=ja 독일어=de 프랑스어=fr 스페인어=es 러시아어=ru 베트남어=vi
태국어=th 몽골어=mn 인도네시아어=id 아랍어=ar 이탈리아어=it 포르투갈어=pt 힌디어=hi
터키어=tr 日本語=ja 中文=zh 汉语=zh 漢語=zh 普通话=zh 普通話=zh 國語=zh 国语=zh
deutsch=de español=es castellano=es français=fr francais=fr italiano=it português=pt
portugues=pt русский=ru українська=uk العربية=ar हिन्दी=hi tiếng_việt=vi ภาษาไทย=th
bahasa_indonesia=id türkçe=tr
"""
_CODES = {name.lower(): code for code, name in LANGUAGE_NAMES.items()} | {
    name.replace("_", " "): code
    for name, code in (entry.split("=") for entry in _OTHER_NAMES.split())
}
# Countries and scripts in front of a name: American English, Simplified Chinese.
_KIND = re.compile(
    r"(?:american|australian|brazilian|british|canadian|european|indian|latin american|mandarin"
    r"|mexican|modern|north|simplified|south|standard|traditional) (?=\w)"
)
# What stands where no language is known (ISO 639-2 has und).
_UNKNOWN = frozenset({"und", "unknown", "undefined", "null", "none", "n/a"})

# Countries (ISO 3166-1) whose code is no language's, or one that nobody means, with what is spoken.
_COUNTRIES = {
    **{"at": "de", "cn": "zh", "cz": "cs", "dk": "da", "gb": "en", "gr": "el", "jp": "ja"},
    **{"kp": "ko", "kr": "ko", "ua": "uk", "us": "en", "vn": "vi"},
}


def read_language(text: str) -> str:
    """Return the code of a language that a person names: a code, a tag (ko-KR) or a name.

    Three letters may be a code of ISO 639-3 that has no name here. Raises UserError for anything
    else, with the nearest right word.
    """
    code = language_code(text)
    if code in LANGUAGE_NAMES or (re.fullmatch("[a-z]{3}", code) and code not in _UNKNOWN):
        return code
    raise unknown_language(text)


def known_language(text: str) -> str:
    """Return the English name of a language given by its code, tag or name.

    A capitalised name that is not in the table is taken as it is, for languages without a code
    ("Jejueo"). Raises UserError for anything else, with the nearest right word.
    """
    code = language_code(text)
    if code in LANGUAGE_NAMES:
        return LANGUAGE_NAMES[code]
    if len(text) > 3 and text.istitle() and text.replace(" ", "").isalpha():
        return text
    raise unknown_language(text)


def unknown_language(text: str) -> UserError:
    """Return the error for what is not a language, with the nearest right word."""
    code = language_code(text)
    hint = nearest(text.lower(), _CODES) or "; codes are like en or de"
    if code in _COUNTRIES:
        spoken = _COUNTRIES[code]
        hint = f'; "{code}" is a country, write {spoken} for {LANGUAGE_NAMES[spoken]}'
    return UserError(f'"{text}" is not a language that soritune knows{hint}')


@lru_cache(maxsize=4096)
def language_code(language: str) -> str:
    """Return the shortest code of a language.

    `language` is a code (ko, kor), a tag (ko-KR, kor_Hang, ko_KR.UTF-8) or a name (Korean).
    """
    # Fullwidth letters, and marks that cannot be seen.
    language = re.sub(r"[\u200b-\u200f\u2060\ufeff]", "", unicodedata.normalize("NFKC", language))
    language = language.strip().casefold()
    name = re.split(r"[(,]", language, maxsplit=1)[0].strip()  # Chinese (Simplified)
    name = _KIND.sub("", name.removesuffix(" language"))
    code = re.split(r"[-_.@]", language.strip("<|>[]{}"), maxsplit=1)[0].strip()
    if region := re.fullmatch(r"([a-z]{2,3}) [a-z]{2,4}", language):
        code = region[1]
    found = _CODES.get(language) or _CODES.get(name.replace("_", " ")) or _CODES.get(code)
    return found or _SHORTER.get(code, code)


def is_language(code: str) -> bool:
    """Return whether what `language_code` gave can be a language: a code, or a name without one."""
    if code in _COUNTRIES or code in _UNKNOWN:
        return False
    return (
        re.fullmatch(r"[^\W\d_][^\W_]*(?:[ '’-][^\W_]+)*", code) is not None
        and 2 <= len(code) <= 40
    )


def language_name(code: str) -> str:
    """Return the English name of a language code; a code without a name as it is."""
    return LANGUAGE_NAMES.get(code, code)
