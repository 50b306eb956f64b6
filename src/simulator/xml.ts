/** As much XML as TwiML needs: elements, attributes, text, CDATA, comments, character references. No DTDs. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** The element's own text, without that of its children. */
  readonly text: string;
}

export class XMLError extends Error {
  override readonly name = "XMLError";
}

interface OpenElement {
  readonly name: string;
  readonly attributes: Record<string, string>;
  readonly children: OpenElement[];
  text: string;
}

const NAME = "[A-Za-z_][\\w.:-]*";
const TOKEN = new RegExp(
  [
    "<!--[\\s\\S]*?-->",
    "<\\?[\\s\\S]*?\\?>",
    "<!\\[CDATA\\[(?<cdata>[\\s\\S]*?)\\]\\]>",
    `</(?<close>${NAME})\\s*>`,
    `<(?<open>${NAME})(?<attributes>(?:\\s+${NAME}\\s*=\\s*(?:"[^"<]*"|'[^'<]*'))*)\\s*(?<empty>/?)>`,
    "(?<text>[^<]+)",
  ].join("|"),
  "y",
);
const ATTRIBUTE = new RegExp(`(${NAME})\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, "g");
const ENTITIES = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
]);

/** The root element. Throws XMLError with the place of the first mistake. */
export function parseXml(source: string): XmlElement {
  const xml = source.replace(/^\ufeff/, "").trim();
  const open: OpenElement[] = [];
  let root: OpenElement | undefined;
  let at = 0;
  while (at < xml.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(xml);
    if (match === null) throw wrong(xml, at, "expected a tag or text");
    const { cdata, close, open: name, attributes, empty, text } = match.groups ?? {};
    const parent = open.at(-1);
    if (cdata !== undefined) {
      if (!parent) throw wrong(xml, at, "text outside the root element");
      parent.text += cdata;
    } else if (text !== undefined) {
      if (parent) parent.text += decode(text, xml, at);
      else if (text.trim() !== "") throw wrong(xml, at, "text outside the root element");
    } else if (close !== undefined) {
      if (parent?.name !== close) throw wrong(xml, at, `</${close}> closes nothing that is open`);
      open.pop();
    } else if (name !== undefined) {
      const element: OpenElement = { name, attributes: {}, children: [], text: "" };
      for (const [, key, double, single] of (attributes ?? "").matchAll(ATTRIBUTE)) {
        if (key !== undefined) element.attributes[key] = decode(double ?? single ?? "", xml, at);
      }
      if (parent) parent.children.push(element);
      else if (root) throw wrong(xml, at, "a second root element");
      else root = element;
      if (empty === "") open.push(element);
    }
    at = TOKEN.lastIndex;
  }
  const unclosed = open.at(-1);
  if (unclosed) throw wrong(xml, at, `<${unclosed.name}> is not closed`);
  if (!root) throw wrong(xml, 0, "no element at all");
  return root;
}

function decode(text: string, xml: string, at: number): string {
  return text.replace(/&([^;\s&]*);?/g, (whole, name: string) => {
    const code = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
    const point = code
      ? Number.parseInt(code[1] ?? code[2] ?? "", code[1] === undefined ? 10 : 16)
      : undefined;
    const character =
      point === undefined ? ENTITIES.get(name) : point <= 0x10ffff ? String.fromCodePoint(point) : undefined;
    if (character === undefined || !whole.endsWith(";"))
      throw wrong(xml, at, `${whole} is not a character reference`);
    return character;
  });
}

function wrong(xml: string, at: number, message: string): XMLError {
  const before = xml.slice(0, at).split("\n");
  return new XMLError(`line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: ${message}`);
}
