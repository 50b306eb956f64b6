import { afterEach, describe, expect, test } from "bun:test";
import { createMcpServers } from "../../src/agents/mcp/servers.ts";
import { manualClock } from "../support/clock.ts";
import { callTool, closeAll, eager, mcpServers, program, said, toolNamed } from "./mcp.ts";
import { alive, gone, until } from "./processes.ts";
import { never, seams } from "./support.ts";

afterEach(closeAll);

describe("a program", () => {
  test("is started with the first use, lists its tools as server.tool, and is called", async () => {
    const own = seams();
    const servers = mcpServers({ files: program() }, own);
    expect(servers.status()).toEqual([{ name: "files", status: "idle" }]);
    const { tools, missing } = await servers.tools(15_000, never);
    expect(missing).toEqual([]);
    const echo = tools.find((tool) => tool.name === "files.echo");
    expect(echo).toMatchObject({ server: "files", description: "Says it back." });
    expect(echo?.inputSchema).toMatchObject({ type: "object", required: ["words"] });
    expect(await callTool(servers, "files.echo", { words: "hello" })).toBe("hello");
    expect(servers.status()[0]).toMatchObject({ status: "ready", tools: tools.length });
    expect(own.lines.map(({ event }) => event)).toContain("mcp.ready");
  });

  test("is one for all turns", async () => {
    const servers = mcpServers({ files: program() });
    const pids = await Promise.all([1, 2, 3].map(() => callTool(servers, "files.pid")));
    expect(new Set(pids).size).toBe(1);
  });

  test("sees PATH, HOME, LANG and its own env, nothing else of ours", async () => {
    process.env.SMS_AGENT_TEST_SECRET = "secret";
    try {
      const servers = mcpServers({ files: program([], { TOKEN: "own" }) });
      const env = JSON.parse(await callTool(servers, "files.env"));
      expect(env).toMatchObject({ HOME: "/home/sms", LANG: "C.UTF-8", TOKEN: "own" });
      expect(Object.keys(env).sort()).toEqual(["HOME", "LANG", "PATH", "TOKEN"]);
    } finally {
      delete process.env.SMS_AGENT_TEST_SECRET;
    }
  });

  test("of the newest protocol, which refuses the earlier greeting, is greeted in the newest way", async () => {
    const servers = mcpServers({ files: program(["--newest"]) });
    expect(await callTool(servers, "files.pid")).toMatch(/^\d+$/);
  });

  test("may have tools with odd names, unless a log or a policy could not hold them", async () => {
    const own = seams();
    const servers = mcpServers({ files: program(["--odd-names"]) }, own);
    const { tools } = await servers.tools(15_000, never);
    expect(tools.map((tool) => tool.name)).toContain("files.a.dotted/name");
    expect(tools.some((tool) => tool.name.includes("weird"))).toBe(false);
    expect(await callTool(servers, "files.a.dotted/name")).toBe("dotted");
    expect(own.lines.find(({ event }) => event === "mcp.tools_left_out")?.fields.tools).toBe(1);
  });

  test("is told what is wrong in its own words: a failing tool, wrong input", async () => {
    const servers = mcpServers({ files: program() });
    expect(await callTool(servers, "files.fail")).toBe("ToolFailure: The door is jammed.");
    expect(await callTool(servers, "files.echo", { words: 5 })).toMatch(/^ToolFailure: .*words/s);
    expect(servers.status()[0]?.status).toBe("ready");
  });

  test("may answer with more than text: the rest is named", async () => {
    const servers = mcpServers({ files: program() });
    expect(await callTool(servers, "files.mixed")).toBe(
      "Two things:\n[image/png, 3 KiB, not shown]\nPlan: file:///plan.txt\ninside",
    );
  });

  test("that gets another tool is asked again", async () => {
    const servers = mcpServers({ files: program() });
    await callTool(servers, "files.grow");
    let grown = false;
    await until(() => {
      servers.tools(15_000, never).then(({ tools }) => {
        grown = tools.some((tool) => tool.name === "files.grown");
      });
      return grown || undefined;
    });
    expect(await callTool(servers, "files.grown")).toBe("grown");
  });
});

describe("a program that dies", () => {
  test("in the middle of a call: the outcome is not known, the next call finds it started again", async () => {
    const own = eager();
    const servers = mcpServers({ files: program() }, own);
    const pid = await callTool(servers, "files.pid");
    expect(await callTool(servers, "files.die")).toBe(
      "ToolFailure: The tool server files was lost before it answered. Whether the call took effect is not known.",
    );
    const reasons = own.lines.filter(({ event }) => event === "mcp.down").map(({ fields }) => fields.reason);
    expect(reasons).toEqual(["the program exited with 9; stderr: out of memory"]);
    const again = await callTool(servers, "files.pid");
    expect(again).toMatch(/^\d+$/);
    expect(again).not.toBe(pid);
  });

  test("has no text of a call in its last words, as far as the log shows them", async () => {
    const own = eager();
    const servers = mcpServers({ files: program() }, own);
    await callTool(servers, "files.blab", { words: 'my "PIN" is 4711' });
    expect(own.lines.find(({ event }) => event === "mcp.down")?.fields.reason).toBe(
      'the program exited with 1; stderr: got {"words":"[text]"}',
    );
  });

  test("while nobody looks: its tools stay known, and it is started again for the next call", async () => {
    const own = eager();
    const servers = mcpServers({ files: program() }, own);
    const pid = await toolNamed(servers, "files.pid");
    const first = Number(await said(pid));
    process.kill(first, "SIGKILL");
    await until(() => (servers.status()[0]?.status === "ready" ? undefined : true));
    expect(servers.status()[0]).toMatchObject({ status: "down", reason: "the program was ended by SIGKILL" });
    expect(Number(await said(pid))).not.toBe(first);
  });

  test("at its start: the agent does without, the operator learns why, and it is not started again too soon", async () => {
    const clock = manualClock();
    let starts = 0;
    const own = seams({ clock });
    const servers = mcpServers({ files: program(["--exit-at-start"], { TOKEN: "super-secret-token" }) }, own);
    const ask = async () => {
      const asked = servers.tools(15_000, never);
      let done: true | undefined;
      asked.finally(() => {
        done = true;
      });
      await until(() => {
        clock.advance(1); // the drain of its pipes is a timer
        return done;
      });
      starts = own.lines.filter(({ event }) => event === "mcp.down").length;
      return asked;
    };
    expect(await ask()).toEqual({ tools: [], missing: ["files"] });
    expect(starts).toBe(1);
    expect(own.lines.find(({ event }) => event === "mcp.down")?.fields.reason).toBe(
      "the program exited with 3; stderr: no API key in TOKEN=[secret] for +1555***4567",
    );
    await clock.advance(1_000);
    await ask();
    expect(starts).toBe(2);
    expect(own.lines.at(-1)?.fields.backoff).toBe(2_000);
    await clock.advance(2_000);
    await ask();
    expect(starts).toBe(3);
    await ask(); // 4 s have to pass: too long to wait for
    expect(starts).toBe(3);
    expect(servers.status()).toEqual([
      expect.objectContaining({
        name: "files",
        status: "down",
        reason: expect.stringContaining("exited with 3"),
      }),
    ]);
  });

  test("or is not there at all, is told with what to do", async () => {
    const own = seams();
    const servers = mcpServers({ files: { command: ["no-such-program"], env: {}, cwd: "/" } }, own);
    expect((await servers.tools(15_000, never)).missing).toEqual(["files"]);
    expect(own.lines[0]?.fields.reason).toStartWith("the program was not found in PATH=");
  });

  test("does not take the tools of another with it", async () => {
    const servers = mcpServers({ bad: { command: ["no-such-program"], env: {}, cwd: "/" }, good: program() });
    const { tools, missing } = await servers.tools(15_000, never);
    expect(missing).toEqual(["bad"]);
    expect(tools.every((tool) => tool.server === "good")).toBe(true);
  });
});

describe("bounds", () => {
  test("a call that is not answered is given up after a minute, its outcome unknown", async () => {
    const clock = manualClock();
    const servers = mcpServers({ files: program() }, seams({ clock }));
    const hang = await toolNamed(servers, "files.hang");
    const call = said(hang);
    await clock.advance(59_999);
    let done = false;
    call.finally(() => {
      done = true;
    });
    await clock.flush();
    expect(done).toBe(false);
    await clock.advance(1);
    expect(await call).toContain("Whether the call took effect is not known.");
    await callTool(servers, "files.pid");
    expect(servers.status()[0]?.status).toBe("ready");
    await until(() => (clock.pending === 0 ? true : undefined));
  });

  test("a program that answers nothing any more is started again", async () => {
    const clock = manualClock();
    const own = seams({ clock });
    const servers = mcpServers({ files: program() }, own);
    const hang = await toolNamed(servers, "files.hang");
    const pid = Number(await callTool(servers, "files.pid"));
    process.kill(pid, "SIGSTOP");
    const call = said(hang);
    await clock.advance(60_000);
    expect(await call).toContain("not known");
    await clock.advance(5_000);
    expect(own.lines.find(({ event }) => event === "mcp.down")?.fields.reason).toBe("it no longer answers");
    let done: true | undefined;
    gone(pid).then(() => {
      done = true;
    });
    await until(() => {
      clock.advance(1_000); // the grace of its end
      return done;
    });
    expect(Number(await callTool(servers, "files.pid"))).not.toBe(pid);
  });

  test("a turn that ends takes its call with it, and leaves the server", async () => {
    const servers = mcpServers({ files: program() });
    const hang = await toolNamed(servers, "files.hang");
    const abort = new AbortController();
    const call = said(hang, {}, abort.signal);
    abort.abort(new Error("/stop"));
    expect(await call).toBe("Error: /stop");
    expect(await callTool(servers, "files.echo", { words: "still here" })).toBe("still here");
  });

  test("a message of more than 8 MiB ends the server, not us", async () => {
    const own = eager();
    const servers = mcpServers({ files: program() }, own);
    expect(await callTool(servers, "files.flood")).toContain("was lost");
    expect(await callTool(servers, "files.echo", { words: "back" })).toBe("back");
  });

  test("stderr goes to the log in lines of bounded length and number", async () => {
    const own = seams();
    const servers = mcpServers({ files: program() }, own);
    await callTool(servers, "files.shout");
    await Promise.all([servers.close()]);
    const lines = own.lines
      .filter(({ event }) => event === "mcp.stderr")
      .map(({ fields }) => String(fields.line));
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.length).toBeLessThanOrEqual(120); // 60 a minute, and the minute may change
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(301);
  });
});

describe("closing", () => {
  test("ends the program and what it has started", async () => {
    const servers = createMcpServers({ id: "assistant", mcpServers: { files: program() } }, seams());
    const pid = Number(await callTool(servers, "files.pid"));
    const child = Number(await callTool(servers, "files.child"));
    expect([pid, child].map(alive)).toEqual([true, true]);
    await servers.close();
    await Promise.all([pid, child].map(gone));
  });

  test("ends one that ignores SIGTERM, grandchildren included", async () => {
    const own = eager();
    const servers = createMcpServers(
      { id: "assistant", mcpServers: { files: program(["--ignore-term"]) } },
      own,
    );
    const pid = Number(await callTool(servers, "files.pid"));
    const child = Number(await callTool(servers, "files.child"));
    await servers.close();
    await Promise.all([pid, child].map(gone));
  });

  test("ends one that is still starting, and nothing starts after it", async () => {
    const own = seams();
    const servers = createMcpServers(
      { id: "assistant", mcpServers: { files: { command: ["sleep", "300"], env: {}, cwd: "/" } } },
      own,
    );
    const asked = servers.tools(15_000, never);
    await servers.close();
    expect((await asked).missing).toEqual(["files"]);
    expect((await servers.tools(15_000, never)).missing).toEqual(["files"]);
    expect(own.lines).toEqual([]);
  });

  test("a death of the program takes what it has started with it", async () => {
    const servers = mcpServers({ files: program() }, eager());
    const child = Number(await callTool(servers, "files.child"));
    await callTool(servers, "files.die");
    await gone(child);
  });
});
