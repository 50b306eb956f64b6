import { describe, expect, test } from "bun:test";
import { adapt, type Shape } from "../../src/agents/adaptation.ts";

const full: Shape = { history: 40, maxResult: 32_768, images: true, tools: true };
const why = (status: number, refused: string) => adapt(full, status, refused)?.why;

describe("a refusal is understood as", () => {
  const tooLong = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "the request exceeds the available context size, try increasing it",
    "Input is too long for requested model.",
    "Please reduce the length of the messages or completion.",
  ];
  for (const refused of tooLong)
    test(`too long: ${refused}`, () => expect(why(400, refused)).toBe("too_long"));

  const noTools = [
    "registry.ollama.ai/library/gemma:2b does not support tools",
    "No endpoints found that support tool use.",
    '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    "Tools are not supported by this model",
  ];
  for (const refused of noTools)
    test(`no tools: ${refused}`, () => expect(why(400, refused)).toBe("no_tools"));

  const noImages = [
    "This model does not support image input",
    "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
    "Invalid content type. image_url is only supported by certain models.",
  ];
  for (const refused of noImages)
    test(`no images: ${refused}`, () => expect(why(400, refused)).toBe("no_images"));

  for (const [status, refused] of [
    [400, "Unrecognized request argument supplied: seed"],
    [401, "Incorrect API key provided"],
    [404, "model 'qwen' not found, try pulling it first"],
    [429, "Rate limit reached: too many tokens per minute"],
    [500, "context length"],
  ] as const)
    test(`nothing that leaving out would help: ${status} ${refused}`, () =>
      expect(why(status, refused)).toBeUndefined());
});

test("what is left out ends: a model that refuses everything is not asked for ever", () => {
  let shape: Shape | undefined = full;
  const shapes: Shape[] = [];
  while (shape !== undefined && shapes.length < 20) {
    shapes.push(shape);
    shape = adapt(
      shape,
      400,
      "prompt is too long, does not support tools, image input is not supported",
    )?.shape;
  }
  expect(shapes.length).toBeLessThan(8);
  expect(shapes.at(-1)).toEqual({ history: 1, maxResult: 2_048, images: false, tools: false });
});
