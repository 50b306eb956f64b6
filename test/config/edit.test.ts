import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { writeFileAtomically } from "../../src/config/atomic-file.ts";
import { type ChannelEdit, editChannel } from "../../src/config/edit.ts";

const SIGNAL: ChannelEdit = { key: "mode", value: "signal" };
const MESSAGE: ChannelEdit = { key: "mode", value: "message" };
const DISABLED: ChannelEdit = { key: "enabled", value: false };

const FILE = `# my phones
channels:
  sms:   # the main one
    provider: twilio   # not simulated
    from_number:   '+15551234567'
    mode: message      # answers

    agent: "assistant"
  two: { provider: simulator, mode: "signal", agent: x }
  codes:
    # only codes
    provider: simulator
agents: {x: {type: echo}}   # no space
`;

function edited(text: string, channel: string, edit: ChannelEdit): string {
  const result = editChannel(text, channel, edit);
  if (!result.ok) throw new Error(result.message);
  return result.text;
}

describe("a mode switched in the file", () => {
  test("replaces the one word and leaves comments, order, spaces and quotes as they are", () => {
    expect(edited(FILE, "sms", SIGNAL)).toBe(FILE.replace("mode: message ", "mode: signal "));
    expect(edited(FILE, "two", MESSAGE)).toBe(FILE.replace('mode: "signal"', 'mode: "message"'));
    expect(edited(FILE.replaceAll('"', "'"), "two", MESSAGE)).toBe(
      FILE.replaceAll('"', "'").replace("'signal'", "'message'"),
    );
  });

  test("that is the same already changes nothing", () => {
    expect(edited(FILE, "sms", MESSAGE)).toBe(FILE);
  });

  test("is added where there was none, below the first simple key", () => {
    expect(edited(FILE, "codes", SIGNAL)).toBe(
      FILE.replace("provider: simulator\nagents", "provider: simulator\n    mode: signal\nagents"),
    );
    expect(edited(FILE, "sms", DISABLED)).toBe(
      FILE.replace("# not simulated\n", "# not simulated\n    enabled: false\n"),
    );
    expect(edited(FILE, "two", DISABLED)).toBe(FILE.replace("two: { ", "two: { enabled: false, "));
  });

  test("is added before a key that takes several lines, when there is no simple one", () => {
    const text = "channels:\n  sms:\n    reply:\n      economy: max\n";
    expect(edited(text, "sms", SIGNAL)).toBe(
      "channels:\n  sms:\n    mode: signal\n    reply:\n      economy: max\n",
    );
  });

  test("fills a key that stands without value", () => {
    const text = "channels:\n  sms:\n    mode: # later\n    agent: x\n";
    expect(edited(text, "sms", SIGNAL)).toBe(text.replace("mode:", "mode: signal"));
  });

  test("keeps Windows line ends, a byte order mark and a last line without end", () => {
    const text = "\uFEFFchannels:\r\n  sms:\r\n    provider: simulator";
    expect(edited(text, "sms", SIGNAL)).toBe(`${text}\r\n    mode: signal`);
  });

  test("is found beside environment variables in flow maps", () => {
    const text = `channels: { sms: { from_number: \${NUMBER:-+1, 2}, mode: message } }\n`;
    expect(edited(text, "sms", SIGNAL)).toBe(text.replace("message", "signal"));
  });
});

describe("a mode is not written", () => {
  const cases: readonly [what: string, text: string, message: string][] = [
    [
      "over an environment variable",
      `channels: { sms: { mode: \${MODE:-message} } }`,
      "comes from an environment variable",
    ],
    [
      "over an alias",
      "channels:\n  a: { mode: &m message }\n  sms: { mode: *m }\n",
      "comes from an alias (*m)",
    ],
    [
      "into a channel that is an alias",
      "channels:\n  a: &a { mode: message }\n  sms: *a\n",
      "comes from an alias (*a)",
    ],
    [
      "over a merged value",
      "channels:\n  a: &a { mode: message }\n  sms: { <<: *a, agent: x }\n",
      "comes from an alias (<<)",
    ],
    [
      "over a value merged twice",
      "channels:\n  a: &a { mode: message }\n  b: &b { <<: *a }\n  sms: { <<: [*b], agent: x }\n",
      "comes from an alias (<<)",
    ],
    [
      "where others take it from",
      "channels:\n  sms: { mode: &m message }\n  b: { mode: *m }\n",
      "is shared with other places through an anchor (&…)",
    ],
    [
      "into a channel that others take",
      "channels:\n  sms: &a { agent: x }\n  b: { <<: *a }\n",
      "is shared with other places through an anchor (&…)",
    ],
    [
      "into a channel that is not there",
      "channels: { a: { mode: message } }\n",
      "belongs to a channel that is not in the file",
    ],
    ["into a file that is no YAML", "channels: [\n", "cannot be written, for the file is not valid YAML"],
    ["over a list", "channels: { sms: { mode: [message] } }\n", "is not a single value"],
    ["over a block text", "channels:\n  sms:\n    mode: |\n      message\n", "stands in several lines"],
    ["into an empty file", "", "has no place in the file: channels: is not a map"],
  ];
  for (const [what, text, message] of cases) {
    test(what, () => {
      expect(editChannel(text, "sms", SIGNAL)).toEqual({ ok: false, message, fix: expect.any(String) });
    });
  }

  test("beside an anchor nobody uses it is", () => {
    expect(edited("channels:\n  sms: &a { mode: &m message }\n", "sms", SIGNAL)).toBe(
      "channels:\n  sms: &a { mode: &m signal }\n",
    );
  });
});

test("no text makes the editor throw, and what it writes differs by little", () => {
  const pieces = [
    "channels:",
    " sms:",
    "  sms:",
    "    mode: ",
    "message",
    "{",
    "}",
    "\n",
    "&a ",
    "*a",
    "<<: ",
    ", ",
    '"',
    "#x",
    `\${M}`,
    "? ",
    "- ",
  ];
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...pieces), { maxLength: 20 }),
      fc.constantFrom(SIGNAL, DISABLED),
      (parts, edit) => {
        const text = parts.join("");
        const result = editChannel(text, "sms", edit);
        if (result.ok) expect(Math.abs(result.text.length - text.length)).toBeLessThan(40);
      },
    ),
    { numRuns: 500 },
  );
});

describe("a file written atomically", () => {
  function inFolder(run: (folder: string) => void): void {
    const folder = mkdtempSync(join(tmpdir(), "sms-agent-test-"));
    try {
      run(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test("holds the new content, keeps its mode and leaves no other file behind", () => {
    inFolder((folder) => {
      const path = join(folder, "sms.yaml");
      writeFileSync(path, "old");
      chmodSync(path, 0o664);
      writeFileAtomically(path, "new");
      expect(readFileSync(path, "utf8")).toBe("new");
      expect(statSync(path).mode & 0o777).toBe(0o664);
      expect(readdirSync(folder)).toEqual(["sms.yaml"]);
    });
  });

  test("is private when it is new", () => {
    inFolder((folder) => {
      const path = join(folder, "sms.yaml");
      writeFileAtomically(path, "new");
      expect(statSync(path).mode & 0o777).toBe(0o600);
    });
  });

  test("is written through a symbolic link, which stays", () => {
    inFolder((folder) => {
      const link = join(folder, "link.yaml");
      writeFileSync(join(folder, "real.yaml"), "old");
      symlinkSync("real.yaml", link);
      writeFileAtomically(link, "new");
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
      expect(readFileSync(join(folder, "real.yaml"), "utf8")).toBe("new");
    });
  });

  test("is not touched when writing fails", () => {
    inFolder((folder) => {
      mkdtempSync(join(folder, "target-"));
      const [target = ""] = readdirSync(folder);
      expect(() => writeFileAtomically(join(folder, target), "new")).toThrow();
      expect(readdirSync(folder)).toEqual([target]);
    });
  });
});
