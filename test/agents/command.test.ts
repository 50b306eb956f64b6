import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAgent } from "../../src/agents/create.ts";
import type { AgentSeams } from "../../src/agents/seams.ts";
import { AppError } from "../../src/errors.ts";
import type { CommandAgent } from "../../src/settings.ts";
import { manualClock } from "../support/clock.ts";
import { alive, gone, until } from "./processes.ts";
import { failureOf, never, seams, turn } from "./support.ts";

let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "command-agent-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function script(name: string, lines: string, mode = 0o755): string {
  writeFileSync(join(dir, name), lines);
  chmodSync(join(dir, name), mode);
  return `./${name}`;
}

function agent(command: readonly string[], over: Partial<CommandAgent> = {}, own: AgentSeams = seams()) {
  return createAgent(
    { id: "script", type: "command", command, env: {}, cwd: dir, timeout: 10_000, ...over },
    own,
  );
}

const sh = (lines: string) => ["/bin/sh", "-c", lines];

/** The process id that a script wrote to a file. */
function pidIn(name: string): Promise<number> {
  return until(() => {
    const path = join(dir, name);
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    return text.endsWith("\n") ? Number(text) : undefined;
  });
}

describe("a command", () => {
  test("gets the turn as one line of JSON and answers on stdout", async () => {
    const program = script("reply.sh", '#!/bin/sh\nread -r line\nprintf "\\n%s\\n\\n" "$line"\n');
    const { text } = await agent([program]).run(turn({ text: "zwei\nZeilen 👋", label: "Ann" }), never);
    expect(JSON.parse(text ?? "")).toMatchObject({
      turn_id: "turn_1",
      from: "+15551234567",
      label: "Ann",
      text: "zwei\nZeilen 👋",
      messages: [{ role: "user", text: "zwei\nZeilen 👋", media: [] }],
    });
  });

  test("gets its arguments as they are written: no shell reads them", async () => {
    const reply = await agent(["printf", "%s|", "$HOME", "; id", "*"]).run(turn(), never);
    expect(reply).toEqual({ text: "$HOME|; id|*|" });
  });

  test("runs in the folder of its settings", async () => {
    const reply = await agent(["pwd", "-P"]).run(turn(), never);
    expect(reply.text).toBe(dir);
  });

  test("that writes nothing, or only blanks, says nothing", async () => {
    expect(await agent(["true"]).run(turn(), never)).toEqual({});
    expect(await agent(sh("echo; echo ' '")).run(turn(), never)).toEqual({});
  });

  test("need not read its input, however much there is", async () => {
    const text = "x".repeat(300_000);
    expect(await agent(sh("exec 0<&-; echo done")).run(turn({ text }), never)).toEqual({ text: "done" });
    const counted = await agent(["wc", "-c"]).run(turn({ text }), never);
    expect(Number(counted.text)).toBeGreaterThan(600_000);
  });

  test("sees PATH, HOME, LANG and its own env, which wins, and nothing else of ours", async () => {
    process.env.SMS_AGENT_TEST_SECRET = "not for children";
    try {
      const own = seams({ env: { PATH: "/usr/bin:/bin", HOME: "/home/sms", LANG: "C" } });
      const { text } = await agent(["env"], { env: { LANG: "de_DE.UTF-8", TOKEN: "t" } }, own).run(
        turn(),
        never,
      );
      expect(text?.split("\n").sort()).toEqual([
        "HOME=/home/sms",
        "LANG=de_DE.UTF-8",
        "PATH=/usr/bin:/bin",
        "TOKEN=t",
      ]);
    } finally {
      delete process.env.SMS_AGENT_TEST_SECRET;
    }
  });

  test("is looked for in the PATH it is given", async () => {
    script("mine", "#!/bin/sh\necho mine\n");
    expect(await agent(["mine"], { env: { PATH: `${dir}:/bin` } }).run(turn(), never)).toEqual({
      text: "mine",
    });
  });

  test("may leave something running: its reply is not held up, and the rest not ended", async () => {
    const run = agent(sh("sleep 30 & echo $! > background; echo started")).run(turn(), never);
    expect(await run).toEqual({ text: "started" });
    const pid = await pidIn("background");
    expect(alive(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
  });
});

describe("a failing command", () => {
  test("is told with its exit code and the end of stderr, without texts, numbers and secrets", async () => {
    const lines =
      'echo "reply so far"; yes filler | head -c 100000 >&2; read -r l; echo "bad: How late is it? +15551234567 $TOKEN" >&2; exit 3';
    const failure = await failureOf(agent(sh(lines), { env: { TOKEN: "tok_12345678" } }).run(turn(), never));
    expect(failure.kind).toBe("provider");
    expect(failure.message).toStartWith("`/bin/sh` exited with 3; stderr: …");
    expect(failure.message).toEndWith("bad: [text] +1555***4567 [secret]");
    expect(failure.message.length).toBeLessThan(350);
  });

  test("is told by the signal that ended it", async () => {
    const failure = await failureOf(agent(sh("kill -SEGV $$")).run(turn(), never));
    expect(failure.message).toBe("`/bin/sh` was ended by SIGSEGV");
  });

  test("with more than 64 KiB of output is ended, not cut", async () => {
    const exactly = await agent(sh("head -c 65536 /dev/zero | tr '\\0' x")).run(turn(), never);
    expect(exactly.text).toHaveLength(65_536);
    for (const flood of ["head -c 65537 /dev/zero | tr '\\0' x", "echo $$ > flood; exec yes"]) {
      const failure = await failureOf(agent(sh(flood)).run(turn(), never));
      expect(failure.kind).toBe("output");
      expect(failure.message).toBe("`/bin/sh` wrote more than 64 KiB to stdout");
    }
    await gone(await pidIn("flood"));
  });

  test("with output that is not UTF-8 says so", async () => {
    const failure = await failureOf(agent(["printf", "Gr\\374\\337e"]).run(turn(), never));
    expect(failure.kind).toBe("output");
    expect(failure.message).toBe("`printf` wrote something to stdout that is not UTF-8");
  });

  test("that cannot be started says why and what to do", async () => {
    const cases: readonly (readonly [string, RegExp, RegExp])[] = [
      ["no-such-program", /`no-such-program` was not found in PATH=\/usr/, /Install it/],
      [
        "./missing.sh",
        /`\.\/missing\.sh` was not found: there is no .*\/missing\.sh/,
        /relative to the config file/,
      ],
      [script("plain.sh", "#!/bin/sh\n", 0o644), /may not be executed/, /chmod \+x .*plain\.sh/],
      [script("bare.sh", "echo hi\n"), /neither a binary nor a script/, /#!\/bin\/sh/],
      [script("lost.sh", "#!/no/such/shell\n"), /interpreter that is not there/, /first line/],
    ];
    for (const [program, message, fix] of cases) {
      const failure = await failureOf(agent([program]).run(turn(), never));
      expect(failure.kind).toBe("provider");
      expect(failure.message).toMatch(message);
      expect(failure.fix).toMatch(fix);
    }
    const nowhere = await failureOf(agent(["true"], { cwd: join(dir, "gone") }).run(turn(), never));
    expect(nowhere.message).toMatch(/has no working folder/);
  });

  test("without a program is refused at creation", () => {
    expect(() => agent([])).toThrow(AppError);
    expect(() => agent([""])).toThrow("Agent script has no command.");
  });
});

describe("at the time-out", () => {
  test("the whole group is ended, grandchildren included", async () => {
    const clock = manualClock();
    const lines = "sh -c 'sleep 300 & echo $! > grandchild; wait' & echo $$ > leader; wait";
    const run = failureOf(agent(sh(lines), { timeout: 30_000 }, seams({ clock })).run(turn(), never));
    const pids = [await pidIn("leader"), await pidIn("grandchild")];
    expect(pids.map(alive)).toEqual([true, true]);
    await clock.advance(30_000);
    const failure = await run;
    expect(failure.kind).toBe("timeout");
    expect(failure.message).toBe("`/bin/sh` did not answer within 30s");
    await Promise.all(pids.map(gone));
    expect(clock.pending).toBe(0);
  });

  test("who ignores SIGTERM gets SIGKILL two seconds later", async () => {
    const clock = manualClock();
    const lines = "trap '' TERM; echo $$ > stubborn; while :; do sleep 1; done";
    let settled = false;
    const run = failureOf(agent(sh(lines), {}, seams({ clock })).run(turn(), never)).finally(() => {
      settled = true;
    });
    const pid = await pidIn("stubborn");
    await clock.advance(10_000);
    await clock.advance(1_999);
    expect(alive(pid)).toBe(true);
    expect(settled).toBe(false);
    await clock.advance(1);
    expect((await run).kind).toBe("timeout");
    await gone(pid);
  });

  test("a grandchild that ignores SIGTERM is not left behind by its parent", async () => {
    const clock = manualClock();
    const lines = "sh -c 'trap \"\" TERM; echo $$ > orphan; while :; do sleep 1; done' & wait";
    const run = failureOf(agent(sh(lines), {}, seams({ clock })).run(turn(), never));
    const pid = await pidIn("orphan");
    await clock.advance(10_000);
    await run;
    await gone(pid);
  });
});

test("a cancelled turn ends its process", async () => {
  const abort = new AbortController();
  const run = failureOf(agent(sh("echo $$ > cancelled; sleep 300")).run(turn(), abort.signal));
  const pid = await pidIn("cancelled");
  abort.abort(new Error("/stop"));
  expect((await run).kind).toBe("cancelled");
  await gone(pid);
});

test("closing the agent ends what runs, and waits for it", async () => {
  const script = agent(sh("trap 'sleep 0.3; exit' TERM; echo $$ > closed; sleep 300 & wait"));
  const run = failureOf(script.run(turn(), never));
  const pid = await pidIn("closed");
  await script.close?.();
  expect(alive(pid)).toBe(false);
  expect((await run).kind).toBe("cancelled");
});
