import { expect, test } from "bun:test";
import fc from "fast-check";
import { isCallText, spokenPart } from "../../src/agents/reasoning.ts";

const cases: readonly (readonly [string, string])[] = [
  ["Noon.", "Noon."],
  ["<think>a</think>Noon.", "Noon."],
  ["<think>a</think> One <think>b</think>two", "One two"],
  ["<Thinking>\na\n</THINKING>\n\nNoon.", "Noon."],
  ["[THINK]a[/THINK]Noon.", "Noon."],
  ["a\n</think>\n\nNoon.", "Noon."],
  ["<think>a</think>b</think>Noon.", "Noon."],
  ["<think>the tokens ran out", ""],
  ["Noon. <think>the tokens ran out", "Noon."],
  ["1 < 2 and a <b> tag", "1 < 2 and a <b> tag"],
  ["I think <thinker> is a word", "I think <thinker> is a word"],
  ['<tool_call>{"name": "lamp"}</tool_call>The lamp is on.', "The lamp is on."],
  ['One moment.\n<tool_call>\n{"name": "lamp", "arguments": {}}', "One moment."],
  ["<tool_response>on</tool_response> Done.", "Done."],
  ["<function=lamp>{}</function>Done.", "Done."],
  ['<function_calls><invoke name="lamp"></invoke></function_calls>Done.', "Done."],
  ['[TOOL_CALLS][{"name": "lamp"}]', ""],
  ['Done.<|python_tag|>{"name": "lamp"}', "Done."],
  [
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>lamp<｜tool▁call▁end｜><｜tool▁calls▁end｜>Done.",
    "Done.",
  ],
  [
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.lamp:0<|tool_call_end|><|tool_calls_section_end|>",
    "",
  ],
  [
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Noon.<|return|>",
    "Noon.",
  ],
  ["<|channel|>commentary to=functions.lamp <|constrain|>json<|message|>{}<|call|>", ""],
  ["Noon.<|im_end|>", "Noon."],
  [
    "Press <Enter>, then call the function lamp(1) | tail",
    "Press <Enter>, then call the function lamp(1) | tail",
  ],
  ['Send {"name": "lamp"} to it', 'Send {"name": "lamp"} to it'],
];

for (const [answer, spoken] of cases) {
  test(`of ${JSON.stringify(answer)} the phone gets ${JSON.stringify(spoken)}`, () => {
    expect(spokenPart(answer)).toBe(spoken);
  });
}

test("no thought passes, whatever stands around it", () => {
  const words = fc.string().filter((text) => !/[<>[\]]/.test(text));
  fc.assert(
    fc.property(words, words, words, (before, after, more) => {
      const thought = "SECRET-THOUGHT";
      expect(spokenPart(`${before}<think>${more}${thought}</think>${after}`)).toBe(
        `${before}${after}`.trim(),
      );
      expect(spokenPart(`${more}${thought}</think>${after}`)).toBe(after.trim());
      expect(spokenPart(`${before}<think>${thought}${more}`)).toBe(before.trim());
    }),
  );
});

test("a call written as JSON is told from an answer that only looks like one", () => {
  const names = new Set(["home__lamp"]);
  for (const call of [
    '{"name": "home__lamp", "parameters": {"on": true}}',
    '```json\n{"name": "home__lamp", "arguments": {}}\n```',
    ' {"arguments": {}, "name": "home__lamp"} '.trim(),
  ])
    expect(isCallText(call, names)).toBe(true);
  for (const call of ["home__lamp", "home__lamp()", "home__lamp ( )"])
    expect(isCallText(call, names)).toBe(true);
  for (const answer of [
    "home__lamp is on",
    "home__lamp(1)",
    '{"name": "other", "parameters": {}}',
    '{"name": "home__lamp"}',
    '{"name": "home__lamp", "arguments": {}} is how you call it',
    "null",
    "{",
    "",
    "Noon.",
  ])
    expect(isCallText(answer, names)).toBe(false);
});
