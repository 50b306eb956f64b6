import { SegmentedMessage } from "sms-segments-calculator";
import { annotate, redactCodes } from "../../src/annotation.ts";
import { commandIn, optOutKeyword } from "../../src/command.ts";
import { pairingCodeIn } from "../../src/pairing.ts";
import { compilePattern } from "../../src/patterns/re2.ts";
import { createTextTools } from "../../src/text/tools.ts";
import { MAX_BODY } from "../../src/text.ts";
import type { Target } from "./engine.ts";
import { must, size } from "./expect.ts";

const tools = createTextTools();

const PROSE = [
  "Your code is 482913. Do not share it.",
  "G-123456 is your verification code",
  "@example.com #123456 %frame.example",
  "Bestätigungscode: 4829 13, gültig bis 12:30 am 24.12.2026",
  "https://example.com/verify?token=abc&x=1#top",
  "验证码：482913，5分钟内有效。",
  "رمز التحقق: ١٢٣٤٥٦",
  "<#> 123456 is your code FA+9qCX9VSu",
  "Order 12-3456 over €12,50 arrives 2026-01-31",
  "STOP",
  "/new",
  "ABCD-EFGH",
];
const WORDS =
  "code is your 482913 G- @ # % . , : ; - / https:// www. example.com € $ otp PIN код 码 ١٢".split(" ");

const MARKDOWN = [
  "# Title\n\nSome **bold** and *thin* and `code` and ~~gone~~.\n\n- one\n- two\n  1. three\n",
  "| a | b |\n|---|---|\n| 1 | [x](https://example.com/a_b) |\n",
  "> quote\n\n```ts\nconst a = 1 * 2 * 3;\n```\n\n[ref]: https://example.com 'title'\n[ref]",
  '![image](https://example.com/i.png "t") <b>html</b> <https://example.com> &amp; &#x41;',
  "A — B “quoted” … 2*3*4 snake_case_name ½ → • 👍🏽",
];
const MARKS =
  "* ** _ __ ~~ ` ``` ~~~ # ## > - + 1. [ ] ( ) ![ ](https://a.b) | --- \\ <b> </b> <br> <!-- --> &amp; &#0; &#x10ffff; \n \n\n http://a.b/c www.a.b".split(
    " ",
  );

const GSM = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ ^{}\\[~]|€";

export const TEXT_TARGETS: readonly Target[] = [
  {
    name: "annotate",
    seeds: PROSE,
    tokens: WORDS,
    check(text) {
      const found = annotate(text, "22000");
      must(found.confidence >= 0 && found.confidence <= 1, "the confidence is none");
      for (const { value, score } of found.candidates) {
        must(/^[!-~]{1,64}$/.test(value), `the candidate ${JSON.stringify(value)} cannot be typed`);
        must(score >= 0 && score <= 1, "a score is none");
      }
      if (found.link !== undefined) {
        must(text.includes(found.link), "the link is not in the text");
        must(!/[\p{Cc}\s]/u.test(found.link), "the link is not one word");
      }
      if (found.origin !== undefined) must(/^\S+$/.test(found.origin), "the origin is no host");
      const hidden = redactCodes(text, found);
      if (found.code !== undefined && /^\d+$/.test(found.code) && text.includes(found.code))
        must(!hidden.includes(found.code), "the code is still there after it was masked");
      return `${found.category} ${found.code?.length} ${found.link === undefined} ${found.origin === undefined} ${size(found.candidates.length)}`;
    },
  },
  {
    name: "keywords",
    seeds: [...PROSE, "stop all", "UNSTOP", "ＳＴＯＰ", "abcd efgh"],
    tokens: ["STOP", "stop", "START", "/new", "/stop", "ABCD", "-", " ", "ſ", "İ"],
    check(text) {
      const code = pairingCodeIn(text);
      if (code !== undefined) must(/^[A-HJKMNP-Z2-9]{4}-[A-HJKMNP-Z2-9]{4}$/.test(code), "no pairing code");
      const [keyword, command] = [optOutKeyword(text), commandIn(text)];
      must(keyword === undefined || command === undefined, "a keyword is a command too");
      return `${code === undefined} ${keyword} ${command}`;
    },
  },
  {
    name: "segments",
    seeds: [
      ...PROSE,
      GSM,
      "a".repeat(160),
      "a".repeat(161),
      "é€".repeat(80),
      "😀".repeat(35),
      "漢".repeat(71),
    ],
    tokens: ["€", "{", "^", "a".repeat(153), "漢".repeat(67), "😀", "\u200d", "\ufe0f", "é", "ç"],
    check(text) {
      const count = tools.segments(text);
      must(Number.isInteger(count) && count >= 0, "no count");
      // Half a surrogate pair never reaches the carrier.
      if (text.length <= MAX_BODY && text.isWellFormed())
        must(
          count === (text === "" ? 0 : new SegmentedMessage(text).segmentsCount),
          `the carrier counts otherwise`,
        );
      return size(count);
    },
    patience: 4,
  },
  {
    name: "markdown",
    seeds: [...MARKDOWN, ...PROSE],
    tokens: MARKS,
    check(markdown) {
      const kinds = ([false, true, "max"] as const).map((economy) => {
        const text = tools.render(markdown, economy);
        must(![...text].some((char) => char < " " && !/\s/.test(char)), "a control character came through");
        must(!markdown.isWellFormed() || text.isWellFormed(), "a character was halved");
        for (const [url] of markdown.matchAll(/(?<![^\s])https?:\/\/[a-z0-9./]+[a-z0-9/](?![^\s])/g))
          must(text.includes(url), `the address ${url} is lost`);
        return `${size(text.length)} ${text.length > markdown.length}`;
      });
      return kinds.join();
    },
    patience: 8,
  },
  {
    name: "splitting",
    seeds: [
      ...PROSE,
      "word ".repeat(500),
      "漢字".repeat(1_000),
      "👨‍👩‍👧‍👦".repeat(200),
      `https://a.example/${"x".repeat(1_700)}`,
    ],
    tokens: [
      " ",
      "\n",
      ". ",
      "https://a.example/b",
      "👨‍👩‍👧‍👦",
      "e\u0301",
      "\r\n",
      "a".repeat(400),
      "漢".repeat(400),
      "🇩🇪",
    ],
    check(text) {
      const whole = text.toWellFormed();
      const parts = tools.split(whole, {});
      for (const part of parts) {
        must(part !== "" && part.length <= MAX_BODY, `a part has ${part.length} characters`);
        must(part.isWellFormed(), "a character was halved");
      }
      const bare = (words: string) => words.replace(/\s+/g, "");
      must(bare(parts.join("")) === bare(whole), "something is lost");
      const hinted = tools.split(whole, { hint: "[MORE?]", numbered: true, segments: 3 });
      for (const part of hinted) must(part.length <= MAX_BODY, "a part with its hint is too long");
      const cut = tools.truncate(whole, { segments: 2, characters: 300 });
      must(cut.length <= 300 && tools.segments(cut) <= 2 && cut.isWellFormed(), "what is cut does not fit");
      return `${size(parts.length)} ${size(hinted.length)} ${size(cut.length)}`;
    },
    patience: 20,
  },
  {
    name: "pattern",
    seeds: [
      "\\d{6}",
      "(?i)code",
      "[\\p{L}\\p{N}]{1,20}$",
      "(a|b)*c",
      "^\\w+@example\\.com #(\\d+)$",
      "(?<n>x){2,5}?",
    ],
    tokens:
      "( ) (?: (?i) (?<n> [ ] [^ { } {1,9} {30} {1000} * + ? | ^ $ . \\d \\w \\s \\b \\p{L} \\pN \\x{41} - a é".split(
        " ",
      ),
    check(source) {
      const pattern = compilePattern(source);
      if ("refused" in pattern) {
        must(
          /^[A-Z\\"([].*\.$/su.test(pattern.refused) || pattern.refused.length > 20,
          "no words for why not",
        );
        must(!/undefined|\bat \S+:\d+|Error/.test(pattern.refused), "a bug is told as a reason");
        return pattern.refused.slice(0, 12);
      }
      const found = ["", "a", "code 482913", "é漢😀".repeat(40), "ab".repeat(300)].map((text) =>
        pattern.test(text),
      );
      return found.join();
    },
    patience: 20,
  },
];
