/** Named character references people and models write: those of HTML 4, and a few HTML 5 names in wide use. */
const LATIN_1 =
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute " +
  "micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring " +
  "AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml " +
  "times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil " +
  "egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash " +
  "ugrave uacute ucirc uuml yacute thorn yuml";

const OTHERS =
  "quot \" amp & lt < gt > apos ' OElig Œ oelig œ Scaron Š scaron š Yuml Ÿ fnof ƒ circ ˆ tilde ˜ ensp \u2002 " +
  "emsp \u2003 thinsp \u2009 zwnj \u200C zwj \u200D lrm \u200E rlm \u200F ndash – mdash — lsquo ‘ rsquo ’ sbquo ‚ " +
  "ldquo “ rdquo ” bdquo „ dagger † Dagger ‡ bull • hellip … permil ‰ prime ′ Prime ″ lsaquo ‹ rsaquo › oline ‾ " +
  "frasl ⁄ euro € image ℑ weierp ℘ real ℜ trade ™ alefsym ℵ larr ← uarr ↑ rarr → darr ↓ harr ↔ crarr ↵ lArr ⇐ " +
  "uArr ⇑ rArr ⇒ dArr ⇓ hArr ⇔ forall ∀ part ∂ exist ∃ empty ∅ nabla ∇ isin ∈ notin ∉ ni ∋ prod ∏ sum ∑ minus − " +
  "lowast ∗ radic √ prop ∝ infin ∞ ang ∠ and ∧ or ∨ cap ∩ cup ∪ int ∫ there4 ∴ sim ∼ cong ≅ asymp ≈ ne ≠ equiv ≡ " +
  "le ≤ ge ≥ sub ⊂ sup ⊃ nsub ⊄ sube ⊆ supe ⊇ oplus ⊕ otimes ⊗ perp ⊥ sdot ⋅ loz ◊ spades ♠ clubs ♣ hearts ♥ " +
  "diams ♦ check ✓ cross ✗ star ☆ starf ★ phone ☎ numero № lbrack [ rbrack ] lbrace { rbrace } lpar ( rpar ) " +
  "vert | verbar | bsol \\ sol / ast * num # percnt % dollar $ commat @ lowbar _ grave ` Hat ^ comma , period . " +
  "colon : semi ; excl ! quest ? equals = plus + hyphen ‐ dash ‐ horbar ― nldr ‥ Abreve Ă abreve ă Aogon Ą " +
  "aogon ą Cacute Ć cacute ć Ccaron Č ccaron č Dstrok Đ dstrok đ Eogon Ę eogon ę Ecaron Ě ecaron ě Gbreve Ğ " +
  "gbreve ğ Idot İ imath ı inodot ı Lstrok Ł lstrok ł Nacute Ń nacute ń Ncaron Ň ncaron ň Odblac Ő odblac ő " +
  "Rcaron Ř rcaron ř Sacute Ś sacute ś Scedil Ş scedil ş Uring Ů uring ů Udblac Ű udblac ű Zacute Ź zacute ź " +
  "Zdot Ż zdot ż Zcaron Ž zcaron ž";

const GREEK_NAMES =
  "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigmaf sigma tau upsilon " +
  "phi chi psi omega";

const NAMED = new Map<string, string>();
for (const [i, name] of LATIN_1.split(" ").entries()) NAMED.set(name, String.fromCharCode(0xa0 + i));
const others = OTHERS.split(" ");
for (let i = 0; i + 1 < others.length; i += 2) NAMED.set(others[i] ?? "", others[i + 1] ?? "");
for (const [i, name] of GREEK_NAMES.split(" ").entries()) {
  NAMED.set(name, String.fromCharCode(0x3b1 + i));
  if (name !== "sigmaf") {
    NAMED.set(name.charAt(0).toUpperCase() + name.slice(1), String.fromCharCode(0x391 + i));
  }
}

const REFERENCE = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,7}));/g;

/** `&amp;`, `&#8364;` and `&#x20AC;` become their characters; what names no character stays as it is. */
export function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(REFERENCE, (whole: string, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED.get(name) ?? whole;
    const codePoint = decimal !== undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex ?? "", 16);
    return isCharacter(codePoint) ? String.fromCodePoint(codePoint) : "\uFFFD";
  });
}

function isCharacter(codePoint: number): boolean {
  if (codePoint < 0x20) return codePoint === 0x09 || codePoint === 0x0a || codePoint === 0x0d;
  if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) return false;
  return !((codePoint >= 0xfdd0 && codePoint <= 0xfdef) || (codePoint & 0xfffe) === 0xfffe);
}
