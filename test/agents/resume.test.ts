import { afterEach, describe, expect, test } from "bun:test";
import { AgentFailure } from "../../src/agent.ts";
import type { ConfirmCall, JournalEntry } from "../../src/tool.ts";
import { endAll, llmAgent, serve, systemOf, toldResults } from "./llm.ts";
import { failureOf, never, seams } from "./support.ts";
import { fakeTool, kinds, type MemoryJournal, withTools } from "./tools.ts";

afterEach(endAll);

const call = (name: string, input: unknown = {}) => ({ name, arguments: input });

/** A run that the service does not survive: it ends when the journal would write `at`. */
async function crashAt(
  turnOf: (onAppend: (entries: readonly JournalEntry[]) => void) => MemoryJournal,
  at: string,
  run: (journal: MemoryJournal) => Promise<unknown>,
): Promise<MemoryJournal> {
  const journal = turnOf((entries) => {
    if (kinds(entries).includes(at)) throw new Error("crash");
  });
  await run(journal).then(
    () => expect.unreachable(),
    (error: Error) => expect(error.message).toBe("crash"),
  );
  return journal;
}

describe("after a crash", () => {
  test("between a call and its result, the call is not repeated and the model learns its outcome is unknown", async () => {
    const server = await serve(
      { toolCalls: [call("send_message"), call("remind")] },
      { text: "I am not sure." },
    );
    const own = seams();
    const otherEnded = Promise.withResolvers<void>();
    const send = fakeTool("send_message", async () => {
      await otherEnded.promise;
      return { kind: "done", text: "sent" };
    });
    const remind = fakeTool("remind", () => "Set.");
    const crashed = await crashAt(
      (crash) =>
        withTools({
          builtIn: [send, remind],
          onAppend(entries) {
            crash(entries);
            if (kinds(entries).includes("call_result 1.1")) otherEnded.resolve();
          },
        }),
      "call_result 1.0",
      (journal) => llmAgent(server, {}, own).run(journal.request(), never),
    );
    expect(send.calls).toHaveLength(1);

    const journal = withTools({ builtIn: [send, remind], journal: crashed.entries });
    const reply = await llmAgent(server, {}, own).run(journal.request(), never);
    expect(reply.text).toBe("I am not sure.");
    expect(send.calls).toHaveLength(1);
    expect(remind.calls).toHaveLength(1);
    expect(server.requests).toHaveLength(2);
    const [first = "", second = ""] = toldResults(server.requests[1]);
    expect(first).toContain("Outcome unknown");
    expect(second).toContain("Set.");
    expect(kinds(journal.entries).at(-1)).toBe("call_result 1.0");
    expect(own.lines.at(-1)?.fields.outcome).toBe("unknown");
  });

  test("between a step and its calls, the calls are made and the model is not asked again", async () => {
    const server = await serve({ toolCalls: [call("remind", { at: 7 })] }, { text: "Set for 7." });
    const remind = fakeTool("remind", () => "Set.");
    const crashed = await crashAt(
      (onAppend) => withTools({ builtIn: [remind], onAppend }),
      "call_started 1.0",
      (journal) => llmAgent(server).run(journal.request(), never),
    );
    expect(remind.calls).toEqual([]);
    const journal = withTools({ builtIn: [remind], journal: crashed.entries });
    expect((await llmAgent(server).run(journal.request(), never)).text).toBe("Set for 7.");
    expect(remind.calls.map(({ input }) => input)).toEqual([{ at: 7 }]);
    expect(server.requests).toHaveLength(2);
  });

  test("before the answer, finished steps are told again as they were, and their tokens counted", async () => {
    const server = await serve(
      {
        text: "First.",
        reasoning: "hm",
        toolCalls: [call("remind", { n: 1 })],
        usage: { prompt: 10, completion: 1 },
      },
      { toolCalls: [call("remind", { n: 2 })], usage: { prompt: 20, completion: 2 } },
      { status: 400, body: { error: { message: "no" } } },
      { text: "Both set.", usage: { prompt: 40, completion: 4 } },
    );
    const remind = fakeTool("remind", ({ n }) => `reminder ${n}`);
    const first = withTools({ builtIn: [remind] });
    await failureOf(llmAgent(server).run(first.request(), never));
    const again = withTools({ builtIn: [remind], journal: first.entries });
    const reply = await llmAgent(server).run(again.request(), never);
    expect(reply).toEqual({ text: "Both set.", usage: { inputTokens: 70, outputTokens: 7 } });
    expect(remind.calls).toHaveLength(2);
    expect(server.requests[3]?.body.messages).toEqual(server.requests[2]?.body.messages ?? []);
  });

  test("max_steps counts the steps before it", async () => {
    const server = await serve({ toolCalls: [call("remind")] }, { status: 400 }, { text: "Enough." });
    const remind = fakeTool("remind", () => "Set.");
    const first = withTools({ builtIn: [remind] });
    await failureOf(llmAgent(server, { maxSteps: 2 }).run(first.request(), never));
    await llmAgent(server, { maxSteps: 2 }).run(
      withTools({ builtIn: [remind], journal: first.entries }).request(),
      never,
    );
    expect(server.requests[2]?.body.tool_choice).toBe("none");
  });

  test("a journal of another version is not guessed at", async () => {
    const server = await serve({ text: "ok" });
    const journal = withTools({ journal: [{ kind: "step", step: 1, content: { old: true } }] });
    const failure = await failureOf(llmAgent(server).run(journal.request(), never));
    expect(failure).toBeInstanceOf(AgentFailure);
    expect(failure.message).toContain("journal");
    expect(server.requests).toEqual([]);
  });
});

describe("a parked call", () => {
  test("parks the turn once the other calls of its step are done, and the turn goes on with its result", async () => {
    const server = await serve(
      {
        toolCalls: [call("await_signal", { from: "22000" }), call("remind")],
        usage: { prompt: 10, completion: 1 },
      },
      { text: "Your code is 123456.", usage: { prompt: 20, completion: 2 } },
    );
    const wait = fakeTool("await_signal", () => ({ kind: "parked" }));
    const remind = fakeTool("remind", () => "Set.");
    const first = withTools({ builtIn: [wait, remind] });
    const parked = await llmAgent(server).run(first.request(), never);
    expect(parked).toEqual({ parked: ["1.0"], usage: { inputTokens: 10, outputTokens: 1 } });
    expect(remind.calls).toHaveLength(1);
    expect(first.entries).toContainEqual({
      kind: "call_parked",
      callId: "1.0",
      until: "result",
      tool: "await_signal",
    });

    const result = { kind: "call_result", callId: "1.0", failed: false, text: "code: 123456" } as const;
    const again = withTools({ builtIn: [wait, remind], journal: [...first.entries, result] });
    const reply = await llmAgent(server).run(again.request(), never);
    expect(reply).toEqual({ text: "Your code is 123456.", usage: { inputTokens: 30, outputTokens: 3 } });
    expect(wait.calls).toHaveLength(1);
    expect(remind.calls).toHaveLength(1);
    expect(toldResults(server.requests[1])[0]).toMatch(/<(data-.{8})>\ncode: 123456\n<\/\1>/);
  });

  test("keeps the turn parked as long as it has no result, without asking the model", async () => {
    const server = await serve(
      { toolCalls: [call("await_signal", { n: 1 }), call("await_signal", { n: 2 })] },
      { text: "Both." },
    );
    const wait = fakeTool("await_signal", () => ({ kind: "parked" }));
    const journal = withTools({ builtIn: [wait] });
    const agent = llmAgent(server);
    expect((await agent.run(journal.request(), never)).parked).toEqual(["1.0", "1.1"]);
    expect((await agent.run(journal.request(), never)).parked).toEqual(["1.0", "1.1"]);
    journal.entries.push({ kind: "call_result", callId: "1.1", failed: false, text: "two" });
    expect((await agent.run(journal.request(), never)).parked).toEqual(["1.0"]);
    expect(server.requests).toHaveLength(1);
    journal.entries.push({ kind: "call_result", callId: "1.0", failed: true, text: "It expired." });
    expect((await agent.run(journal.request(), never)).text).toBe("Both.");
    expect(wait.calls).toHaveLength(2);
    expect(toldResults(server.requests[1])[0]).toContain("Failed.");
  });

  test("whose result came before it was journalled as parked goes on all the same", async () => {
    const server = await serve({ toolCalls: [call("await_signal")] }, { text: "Got it." });
    const journal = withTools({ builtIn: [fakeTool("await_signal", () => ({ kind: "parked" }))] });
    const agent = llmAgent(server);
    await agent.run(journal.request(), never);
    const at = kinds(journal.entries).indexOf("call_parked 1.0");
    journal.entries.splice(at, 0, { kind: "call_result", callId: "1.0", failed: false, text: "now" });
    journal.entries.push({ kind: "call_result", callId: "1.0", failed: false, text: "too late" });
    expect((await agent.run(journal.request(), never)).text).toBe("Got it.");
    expect(toldResults(server.requests[1])[0]).toContain("\nnow\n");
  });

  test("lets the model know what was said meanwhile, as data that is already answered", async () => {
    const server = await serve({ toolCalls: [call("await_signal")] }, { text: "The code is 1." });
    const journal = withTools({ builtIn: [fakeTool("await_signal", () => ({ kind: "parked" }))] });
    const agent = llmAgent(server);
    await agent.run(journal.request(), never);
    journal.entries.push({ kind: "call_result", callId: "1.0", failed: false, text: "1" });
    const meanwhile = [
      { role: "user", text: "And the weather?", media: [] },
      { role: "assistant", text: "Rain.", media: [] },
    ] as const;
    await agent.run(journal.request({ meanwhile }), never);
    expect(systemOf(server.requests[1])).toMatch(
      /<(data-.{8})>\nThey: And the weather\?\nYou: Rain\.\n<\/\1>/,
    );
    expect(systemOf(server.requests[0])).not.toContain("weather");
  });
});

describe("a tool under confirm", () => {
  const confirm = ["remind"];

  function door(answer: Awaited<ReturnType<ConfirmCall>> = { kind: "parked" }) {
    const asked: unknown[] = [];
    const tool = fakeTool("remind", () => "Opened.");
    const hook: ConfirmCall = async (call, { turnId, callId }) => {
      asked.push({ ...call, turnId, callId });
      return answer;
    };
    return { asked, tool, hook };
  }

  test("waits, not started, until it is confirmed, then is allowed anew and run once", async () => {
    const server = await serve({ toolCalls: [call("remind", { door: "front" })] }, { text: "It is open." });
    const { asked, tool, hook } = door();
    let authorized = 0;
    const authorize = async () => {
      authorized++;
      return { allowed: true } as const;
    };
    const journal = withTools({ builtIn: [tool], confirm: hook, authorize });
    const agent = llmAgent(server, { confirm });
    expect((await agent.run(journal.request(), never)).parked).toEqual(["1.0"]);
    expect(kinds(journal.entries)).toEqual(["step 1", "call_parked 1.0"]);
    expect(asked).toEqual([{ tool: "remind", input: { door: "front" }, turnId: "turn_1", callId: "1.0" }]);
    expect((await agent.run(journal.request(), never)).parked).toEqual(["1.0"]);
    expect(asked).toHaveLength(1);
    expect(tool.calls).toEqual([]);

    journal.entries.push({ kind: "call_confirmed", callId: "1.0" });
    expect((await agent.run(journal.request(), never)).text).toBe("It is open.");
    expect(tool.calls.map(({ input }) => input)).toEqual([{ door: "front" }]);
    expect(asked).toHaveLength(1);
    expect(authorized).toBe(2);
  });

  test("that was confirmed is not repeated after a crash", async () => {
    const server = await serve(
      { toolCalls: [call("remind")] },
      { text: "I do not know whether it is open." },
    );
    const { tool, hook } = door();
    const journal = withTools({ builtIn: [tool], confirm: hook });
    const agent = llmAgent(server, { confirm });
    await agent.run(journal.request(), never);
    journal.entries.push(
      { kind: "call_confirmed", callId: "1.0" },
      { kind: "call_started", callId: "1.0", tool: "remind", input: {} },
    );
    await agent.run(journal.request(), never);
    expect(tool.calls).toEqual([]);
    expect(toldResults(server.requests[1])[0]).toContain("Outcome unknown");
  });

  test("that nobody confirmed in time is told as that, and never run", async () => {
    const server = await serve({ toolCalls: [call("remind")] }, { text: "It was not confirmed." });
    const { tool, hook } = door();
    const journal = withTools({ builtIn: [tool], confirm: hook });
    const agent = llmAgent(server, { confirm });
    await agent.run(journal.request(), never);
    journal.entries.push({
      kind: "call_result",
      callId: "1.0",
      failed: true,
      text: "Not confirmed in time.",
    });
    expect((await agent.run(journal.request(), never)).text).toBe("It was not confirmed.");
    expect(tool.calls).toEqual([]);
  });

  test("runs at once where there is nothing to wait for", async () => {
    const server = await serve({ toolCalls: [call("remind")] }, { text: "ok" });
    const { tool, hook } = door({ kind: "confirmed" });
    await llmAgent(server, { confirm }).run(withTools({ builtIn: [tool], confirm: hook }).request(), never);
    expect(tool.calls).toHaveLength(1);
  });

  test("is refused where it cannot be confirmed, and no code is sent for what is not allowed", async () => {
    const answers = [{ toolCalls: [call("remind")] }, { text: "ok" }];
    const server = await serve(...answers, ...answers, ...answers, ...answers);
    const { tool, hook, asked } = door({ kind: "refused", reason: "no phone to ask" });
    const agent = llmAgent(server, { confirm });
    const authorize = async () => ({ allowed: false, reason: "not you" }) as const;
    for (const journal of [
      withTools({ builtIn: [tool] }),
      withTools({ builtIn: [tool], confirm: () => Promise.reject(new Error("no carrier")) }),
      withTools({ builtIn: [tool], confirm: hook }),
      withTools({ builtIn: [tool], confirm: hook, authorize }),
    ])
      await agent.run(journal.request(), never);
    expect(tool.calls).toEqual([]);
    expect(asked).toHaveLength(1);
    const told = server.requests.flatMap((request) =>
      toldResults(request).map((text) => text.split("\n")[2]),
    );
    expect(told).toEqual([
      "Refused: it must be confirmed, and there is no way to confirm it here",
      "Refused: it must be confirmed, and asking for that failed",
      "Refused: no phone to ask",
      "Refused: not you",
    ]);
  });
});
