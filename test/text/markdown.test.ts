import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createTextTools } from "../../src/text/tools.ts";

const tools = createTextTools();
const render = (markdown: string) => tools.render(markdown, false);

describe("Markdown becomes plain text:", () => {
  test("headings and emphasis lose their markers", () => {
    expect(
      render(
        "# Title\n\n**Bold**, *italic*, _italic_, ***both*** and __Strong words__.\n\nSetext\n------\nEnd",
      ),
    ).toBe("Title\nBold, italic, italic, both and Strong words.\n\nSetext\nEnd");
  });

  test("bold inside words of a script without spaces is read", () => {
    expect(render("这是**重点**内容，共**3**个")).toBe("这是重点内容，共3个");
  });

  test("arithmetic, identifiers, arguments and globs keep their stars and underscores", () => {
    for (const text of [
      "2*3*4 = 24 and 5 * 6 * 7, x**2 + y**2, 2**3**4, 3*(4+5)*6, f(x)*2*(y)",
      "snake_case_name, __init__, __init__.py, __MAX_SIZE__, _private",
      "*args, **kwargs and f(*args, **kwargs)",
      "src/*.ts, test/*.ts, src/**/*.ts and lib/**/*.js, *.txt, *.md",
      'count(*), sum(*), SELECT * FROM a, "*.ts", "*.js"',
      "a*b*c and width*height*depth",
    ]) {
      expect(render(text)).toBe(text);
    }
  });

  test("a path in bold or italics is not taken for a pattern", () => {
    expect(render("Edit **/etc/hosts** and *.env* now")).toBe("Edit /etc/hosts and .env now");
  });

  test("lists keep numbers, nesting and check boxes", () => {
    expect(render("* one\n* two\n  * deeper\n    1. first\n    2. second\n* [ ] open\n* [x] done")).toBe(
      "- one\n- two\n  - deeper\n    1. first\n    2. second\n[ ] open\n[x] done",
    );
    expect(render("1. a\n1. b\n1. c")).toBe("1. a\n2. b\n3. c");
    expect(render("1986. A great year.\n1990. Another.")).toBe("1986. A great year.\n1990. Another.");
    expect(render("5) five\n6) six")).toBe("5) five\n6) six");
  });

  test("a narrow table keeps its lines under its header", () => {
    expect(render("| Plan | Price | Users |\n|---|--:|---|\n| Basic | 5 EUR | 1 |\n| Pro | 9 EUR | |")).toBe(
      "Plan: Price, Users\nBasic: 5 EUR, 1\nPro: 9 EUR, -",
    );
    expect(render("| Time | What |\n|-|-|\n| 9:00 | Call, then mail |\n| 10:30 | Gym |")).toBe(
      "Time - What\n9:00 - Call, then mail\n10:30 - Gym",
    );
    expect(render("| | A | B |\n|-|-|-|\n| Price | $1,200 | $900 |\n| Size | 2 | 3 |")).toBe(
      "A; B\nPrice: $1,200; $900\nSize: 2; 3",
    );
  });

  test("a wide table, or one of a single row, becomes lines of header and value", () => {
    const long = "a rather long explanation";
    expect(render(`|A|B|C|D|E|\n|-|-|-|-|-|\n|1|${long}|${long}|${long}|5|\n|6|7|8|9||`)).toBe(
      `A: 1\nB: ${long}\nC: ${long}\nD: ${long}\nE: 5\n\nA: 6\nB: 7\nC: 8\nD: 9\nE: -`,
    );
    expect(render("|Name|Age|City|\n|-|-|-|\n|Ada|36|London|")).toBe("Name: Ada\nAge: 36\nCity: London");
  });

  test("code keeps every character", () => {
    const code = 'def f(*args):\n    x = a ** 2  # "quoted" — kept\n\n\n\treturn `x`';
    expect(render(`Run \`rm *.o && a_b_c\` now:\n\n\`\`\`python\n${code}\n\`\`\`\n\nDone`)).toBe(
      `Run rm *.o && a_b_c now:\n${code}\n\nDone`,
    );
    expect(tools.render(`\`\`\`python\n${code}\n\`\`\``, true)).toBe(code);
  });

  test("a link is its label and URL, and a label that repeats the URL is left out", () => {
    expect(render("See [the docs](https://a.example/b_c?d=1&amp;e=2).")).toBe(
      "See the docs (https://a.example/b_c?d=1&e=2).",
    );
    expect(render("[https://a.example](https://a.example) [a.example](https://www.a.example/)")).toBe(
      "https://a.example https://www.a.example/",
    );
    expect(
      render("<https://a.example/x> https://b.example/_y_*z* www.c.example **https://d.example/e_f**"),
    ).toBe("https://a.example/x https://b.example/_y_*z* www.c.example https://d.example/e_f");
    expect(render("![A cat](https://a.example/cat.png) ![](https://a.example/dog.png)")).toBe(
      "A cat (https://a.example/cat.png) https://a.example/dog.png",
    );
    expect(
      render("[Write](mailto:me@a.example), me@a.example, [+1 555 0100](tel:+15550100), [empty]()"),
    ).toBe("Write (mailto:me@a.example), me@a.example, +1 555 0100, empty");
  });

  test("reference links are resolved, and a definition nobody uses still tells its URL", () => {
    expect(
      render(
        "In [Berlin][b] since 2020[1].\n\n[b]: https://b.example\n[1]: https://c.example\n[More]: https://d.example",
      ),
    ).toBe("In Berlin (https://b.example) since 2020[1] (https://c.example).\n\nMore: https://d.example");
  });

  test("HTML that formats is read, and anything else in angle brackets stays", () => {
    expect(
      render("one<br>two H<sub>2</sub>O 10<sup>6</sup> <b>bold</b> <a href='https://a.example'>site</a>"),
    ).toBe("one\ntwo H2O 10^6 bold site (https://a.example)");
    expect(render("git clone <url> <name> Vec<T> a < b > c <p>")).toBe(
      "git clone <url> <name> Vec<T> a < b > c <p>",
    );
    expect(
      render("<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n\n<table><tr><td>1</td><td>2</td></tr></table>"),
    ).toBe("- a\n- b\n\n1 | 2");
    expect(render("<div>a < b <br> c</div>\n\n<pre>\nx  y\n</pre>")).toBe("a < b\nc\n\nx  y");
    expect(render("<script>alert(1)</script>")).toBe("<script>alert(1)</script>");
  });

  test("entities are decoded once", () => {
    expect(render("&lt;b&gt; &amp;lt; &euro; &#8364; &#x20AC; &nbsp;&hellip; AT&T &unknown; &yuml;")).toBe(
      "<b> &lt; € € € \u00a0… AT&T &unknown; ÿ",
    );
  });

  test("quotes, hard breaks, rules, struck-out text and escapes", () => {
    expect(render("> said\n> she\n\nHe")).toBe("> said\n> she\n\nHe");
    expect(render("a  \nb\\\nc\n\n---\n\nd")).toBe("a\nb\nc\n\nd");
    expect(render("~~$50~~ $40, ~5 min")).toBe("~$50~ $40, ~5 min");
    expect(render("\\*not em\\* snake\\_case 1\\. \\# C:\\dir\\file")).toBe(
      "*not em* snake_case 1. # C:\\dir\\file",
    );
  });

  test("what stands behind a fence beside the language is not lost", () => {
    expect(render("```python app.py\nx\n```")).toBe("app.py\nx");
  });
});

describe("Text that is not Markdown", () => {
  const word = fc
    .stringMatching(/^[A-Za-z0-9äöüéß€$%&'"(/=+.,:;?!-]{1,12}$/)
    .filter((text) => !/^[-+#>=]|^\d+[.)]$|&\w+;|www\.|:\/\//.test(text));
  const line = fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => words.join(" "));

  test("comes out as it went in, apart from blank lines in a row", () => {
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 8 }),
        fc.constantFrom("\n", "\n\n", "\n\n\n"),
        (lines, gap) => {
          fc.pre(lines.every((text) => !/^(?:-+|=+)$/.test(text)));
          expect(render(lines.join(gap))).toBe(lines.join(gap.slice(0, 2)));
        },
      ),
      { numRuns: 1_000, seed: 7 },
    );
  });

  test("loses only spaces that nobody sees, and control characters", () => {
    expect(render("  a   b \t c  \r\n\r\n\r\n\r\nd\u0000\u001b  ")).toBe("a b c\n\nd");
  });

  test("in pieces of Markdown in any order loses no word and no URL, with and without economy", () => {
    const syntax =
      "* ** _ __ ~~ ` `` - > [ ]( ] ( ) ![ | < <b> </b> <br> > &amp; &lt; \\ *** \t # 1. [x] : — “ ” 你好 é 1️⃣ ✅ 🎉".split(
        " ",
      );
    const bits = [
      ...syntax,
      " ",
      "  ",
      "    ",
      "\n",
      "\n\n",
      "- ",
      "# ",
      "1. ",
      "```\n",
      "~~~\n",
      "---\n",
      "|\n|-|-|\n|",
    ];
    const links = ["https://x.example/z", "](https://a.example/c)", "[x]: https://d.example/f\n"];
    const piece = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...bits) },
      { weight: 1, arbitrary: fc.constantFrom(...links) },
      { weight: 3, arbitrary: fc.constant("WORD") },
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 36 }), (pieces) => {
        const source = pieces.map((text, i) => (text === "WORD" ? `7w${i}q` : text)).join("");
        for (const economy of [false, true, "max"] as const) {
          const text = tools.render(source, economy);
          for (const found of source.match(/7w\d+q|https:\/\/[a-z]\.example\/[a-z]/g) ?? []) {
            if (!text.includes(found)) throw new Error(`${found} is lost`);
          }
          if (/[\uFDD0-\uFDEF]/.test(text)) throw new Error("a layout mark is left");
        }
      }),
      { numRuns: 4_000, seed: 11 },
    );
  }, 60_000);
});

describe("Hostile Markdown", () => {
  const REPEATED = [..."[!*_`><&\\|(~\"':=#@. \t-{"].map((char) => char.repeat(20_000));
  const PATTERNS = [
    "![",
    "*a ",
    "**a ",
    "***a",
    "_a ",
    "__a",
    "*_",
    "`a``b```",
    "> ",
    "- ",
    "1. ",
    "<a ",
    '<a href="',
    "[a](b",
    "[a](",
    "[a][",
    "~a ",
    "~~a",
    "https://",
    "www.",
    "a@",
    "# a\n",
    "<!--",
    " \n",
    "- a\n",
    "<div>\n",
    "[a]: b\n",
    "|a|b\n|-|-\n",
    "a\n-",
    "<?",
    "<![CDATA[",
    "</",
    "> a\n\n",
    ">a\nb\n",
    "```\n",
    "a.b-c_d+e@x-y.z",
    "😀 ",
    "👩‍",
    "🇩",
    "1️⃣",
    "a—",
    "«",
    "★",
    "½",
    "a|b\n",
    "<sup>2</sup>",
    "(😀",
    "\ud83d",
    "a/b*c/",
    "“",
  ].map((pattern) => pattern.repeat(Math.ceil(20_000 / pattern.length)));
  const NESTED = [
    Array.from({ length: 300 }, (_, i) => `${" ".repeat(i * 2)}- a`).join("\n"),
    Array.from({ length: 2_000 }, (_, i) => `${">".repeat((i % 50) + 1)} a`).join("\n"),
    `${"**a ".repeat(3_000)}${"**".repeat(3_000)}`,
    `${"[".repeat(5_000)}a${"](b)".repeat(5_000)}`,
    `|${"a|".repeat(5_000)}\n|${"-|".repeat(5_000)}\n|${"a|".repeat(5_000)}`,
  ];

  test("is rendered, split and truncated in bounded time, without overflowing the stack", () => {
    for (const source of [...REPEATED, ...PATTERNS, ...NESTED]) {
      const started = performance.now();
      const text = tools.render(source, "max");
      tools.split(text, { hint: "MORE", numbered: true });
      tools.truncate(text, { segments: 10, characters: 1600 });
      const took = performance.now() - started;
      if (took > 2_000) throw new Error(`${took} ms for ${JSON.stringify(source.slice(0, 20))}`);
    }
  }, 120_000);

  test("a text of a megabyte is dealt with too", () => {
    const started = performance.now();
    tools.split(tools.render("Some *text* and a [link](https://a.example). ".repeat(25_000), true), {});
    expect(performance.now() - started).toBeLessThan(10_000);
  }, 30_000);
});
