import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createTextTools } from "../../src/text/tools.ts";

const tools = createTextTools();
const thrifty = (text: string) => tools.render(text, true);

describe("economy: true", () => {
  test("writes typographic characters in GSM-7", () => {
    const pairs: readonly (readonly [string, string])[] = [
      ["“Hello” ‘you’ — it’s „so“ ‚nice‘ …", "\"Hello\" 'you' - it's \"so\" 'nice' ..."],
      ["It works—mostly, 9–17 h, −5", "It works - mostly, 9-17 h, -5"],
      ["« Oui », dit-elle, sagte »Nein« und ging", '"Oui", dit-elle, sagte "Nein" und ging'],
      ["10\u202f000\u00a0km\u2009/\u2003h", "10 000 km / h"],
      ["• one\n‣ two\n▪ three", "- one\n- two\n- three"],
      ["A → B ⇒ C ← D ↔ E", "A -> B => C <- D <-> E"],
      ["½ cup, 2½ cups, ¾ l, ⅓", "1/2 cup, 2 1/2 cups, 3/4 l, 1/3"],
      ["3 × 4 ≤ 12 ≥ 5 ≠ 6 ≈ 7 ± 1 ÷ 2", "3 x 4 <= 12 >= 5 != 6 ~ 7 +/- 1 / 2"],
      ["Acme™ ©2025 Foo®", "Acme(TM) (c)2025 Foo(R)"],
      [
        "21 °C, 70°F, 90°, 45° N, 45°N, x°, n° 5, 1º, 2ª",
        "21 C, 70F, 90 deg, 45 deg N, 45 deg N, x deg, no 5, 1o, 2a",
      ],
      ["5 m², 3 km², x², 10⁶, CO₂, H₂O", "5 m2, 3 km2, x^2, 10^6, CO2, H2O"],
      ["₹500, 100 ₺, №7, 50¢, 5 µg", "Rs 500, 100 TL, No.7, 50c, 5 ug"],
      ["★★★★☆ and ⭐⭐⭐", "4/5 and ***"],
      ["𝗕𝗼𝗹𝗱 ① ﬁne Ⅳ", "Bold (1) fine IV"],
      ["☐ open ☑ done", "[ ] open [x] done"],
      ["caf\u0065\u0301", "caf\u00e9"],
    ];
    for (const [typographic, plain] of pairs) expect(thrifty(typographic)).toBe(plain);
  });

  test("keeps the euro sign and every accent GSM-7 has", () => {
    for (const text of ["5 € für Käse, Öl und süße Nüsse", "Él niño è già più là, Ångström, smørrebrød"]) {
      expect(thrifty(text)).toBe(text);
    }
  });

  test("never touches text of other scripts", () => {
    for (const text of [
      "你好，“世界”……——½",
      "«Привет» — сказал он…",
      "قال: «مرحبًا»… نعم، ١٢٪",
      "「こんにちは」〜…",
      "안녕하세요 “여러분”…",
    ]) {
      expect(thrifty(text)).toBe(text);
      expect(tools.render(text, "max")).toBe(text);
    }
  });

  test("changes only what looks the same where the message stays UCS-2 anyway", () => {
    expect(thrifty("Así “sí” — 21 °C, ½ día")).toBe('Así "sí" - 21 °C, ½ día');
  });

  test("leaves `…` where three dots would cost a segment", () => {
    const text = `${"á".repeat(69)}…`;
    expect(thrifty(text)).toBe(text);
  });

  test("leaves code and URLs as they are", () => {
    const text = "Use `“x” → y` at https://a.example/“b”—c?d=½";
    expect(thrifty(text)).toBe("Use “x” → y at https://a.example/“b”—c?d=½");
    const tree = thrifty("```text\nsrc/\n├── a.ts\n└── b.ts\n```");
    expect(tree).toBe("src/\n+-- a.ts\n+-- b.ts");
  });
});

describe("Emoji", () => {
  const long =
    "This sentence is here so that the whole message needs more than the seventy characters of one segment.";

  test("go where leaving them out lowers the segment count, with the spaces beside them", () => {
    const cases: readonly (readonly [string, string])[] = [
      [`🎉 Great news 🎉! ${long} 😊`, `Great news! ${long}`],
      [`Shipped 📦🚚 today 👍🏽 (🙏). ${long}`, `Shipped today. ${long}`],
      [`Hi👋there. ${long}`, `Hi there. ${long}`],
      [`- ✅ one\n- 📍 two\n\n🎉🎉\n\n${long}`, `- one\n- two\n\n${long}`],
      [`1️⃣ First\n2️⃣ Second, press 3️⃣\n\n${long}`, `1. First\n2. Second, press 3\n\n${long}`],
      [`Family 👨‍👩‍👧‍👦 from 🇩🇪 and 🏴󠁧󠁢󠁳󠁣󠁴󠁿. ${long}`, `Family from and. ${long}`],
      [`Go ➡️ left. ${long}`, `Go -> left. ${long}`],
    ];
    for (const [given, expected] of cases) expect(thrifty(given)).toBe(expected);
  });

  test("stay where they cost nothing, and where nothing would remain", () => {
    for (const text of ["Done ✅", "👍", "🎉🎉", "你好👋"]) expect(thrifty(text)).toBe(text);
  });

  test("that tell things apart become words", () => {
    const table = `| | Wifi | Pool |\n|-|-|-|\n| A | ✅ | ❌ |\n| B | ❌ | ✅ |\n\n${long}`;
    expect(thrifty(table)).toBe(`Wifi, Pool\nA: OK, X\nB: X, OK\n\n${long}`);
    expect(thrifty(`✅ Tests\n❌ Lint\n\n${long}`)).toBe(`OK Tests\nX Lint\n\n${long}`);
    expect(thrifty(`Backup: ✅\n\n${long}`)).toBe(`Backup: OK\n\n${long}`);
  });

  test("that are quoted or all a cell holds are the message itself and stay", () => {
    expect(thrifty(`Reply "👍" to confirm. ${long}`)).toContain('"👍"');
    expect(thrifty(`|Who|Mood|\n|-|-|\n|Ada|😀|\n|Bob|😢|\n\n${long}`)).toContain("Ada: 😀\nBob: 😢");
  });
});

describe("Blank lines", () => {
  const lines = [
    "First paragraph of the answer, of some length.",
    "Second paragraph of it.",
    "Third and last one of them.",
  ];

  test("are kept while they cost nothing, and given up where that saves a segment", () => {
    expect(thrifty(lines.join("\n\n"))).toBe(lines.join("\n\n"));
    const tight = `${"a".repeat(158)}\n\nb`;
    expect(tools.segments(tight)).toBe(2);
    expect(thrifty(tight)).toBe(`${"a".repeat(158)}\nb`);
  });

  test("before headings are given up last", () => {
    const markdown = `${"x ".repeat(70)}xone.\n\nTwo.\n\n## Head\n\nEnd`;
    const roomy = tools.render(markdown, false);
    expect(roomy.length).toBe(161);
    expect(thrifty(markdown)).toBe(roomy.replace("one.\n\nTwo", "one.\nTwo"));
  });

  test("inside code are never given up", () => {
    const code = `a = 1\n\n\nb = "${"x".repeat(145)}"`;
    expect(thrifty(`\`\`\`py\n${code}\n\`\`\``)).toBe(code);
  });
});

describe("economy: max", () => {
  const max = (text: string) => tools.render(text, "max");

  test("drops accents GSM-7 lacks where the whole message then fits it and costs less", () => {
    expect(
      max(
        "Zażółć gęślą jaźń, cœur français, ça va être très bien à Łódź; İstanbul, ığdır, šťastný, não, şöyle.",
      ),
    ).toBe(
      "Zazolc gesla jazn, coeur francais, ca va etre très bien à Lodz; Istanbul, igdir, stastny, nao, söyle.",
    );
  });

  test("keeps them where that saves nothing", () => {
    expect(max("Zażółć gęślą jaźń")).toBe("Zażółć gęślą jaźń");
    const mixed = `${"Ça va très bien, 你好. ".repeat(8)}`.trim();
    expect(max(mixed)).toBe(mixed);
  });

  test("never takes the umlauts and ß of German", () => {
    const german = "Käse, Öl, süße Nüsse und Äpfel: ".repeat(6).trim();
    expect(max(german)).toBe(german);
  });
});

describe("Whatever the economy", () => {
  test("a reply never costs more than without it", () => {
    const piece = fc.constantFrom(
      "words of a reply ",
      "“quoted” ",
      "– ",
      "… ",
      "½ ",
      "→ ",
      "🎉 ",
      "✅ ",
      "**bold** ",
      "á ",
      "ł ",
      "ç ",
      "你好",
      "\n\n",
      "\n- ",
      "\n\n# ",
      "`code ⇒` ",
      "https://a.example/x ",
      "[l](https://b.example) ",
      "21 °C ",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
        const source = pieces.join("");
        const cost = (economy: boolean | "max") =>
          tools.split(tools.render(source, economy), {}).reduce((sum, part) => sum + tools.segments(part), 0);
        const [none, some, most] = [cost(false), cost(true), cost("max")];
        if (some > none || most > some) throw new Error(`${none}, ${some}, ${most}`);
      }),
      { numRuns: 500, seed: 3 },
    );
  }, 60_000);

  test("an answer of 20,000 characters is rendered and split in milliseconds", () => {
    const source =
      "Ça va “très” bien: see **this** [link](https://a.example/b) – `code` ✅.\n\n- item, n’est-ce pas\n".repeat(
        210,
      );
    expect(source.length).toBeGreaterThan(19_000);
    const times: number[] = [];
    for (let i = 0; i < 15; i++) {
      const started = performance.now();
      tools.split(tools.render(source, "max"), { hint: "MORE", numbered: true });
      times.push(performance.now() - started);
    }
    times.sort((a, b) => a - b);
    expect(times[2]).toBeLessThan(150);
  });
});
