import { describe, expect, test } from "bun:test";
import { MAX_MEDIA_BYTES, type MediaOutcome, sniffMedia } from "../../src/media.ts";
import { withPictures } from "../../src/turn-media.ts";
import { manualClock } from "../support/clock.ts";

const bytes = (...parts: readonly (string | readonly number[])[]) =>
  new Uint8Array(
    parts.flatMap((part) => (typeof part === "string" ? [...part].map((c) => c.charCodeAt(0)) : [...part])),
  );

const PNG = bytes([0x89], "PNG\r\n", [0x1a], "\n", [0, 0]);
const JPEG = bytes([0xff, 0xd8, 0xff, 0xe0]);

describe("the type is read from the bytes:", () => {
  for (const [type, file] of [
    ["image/png", PNG],
    ["image/jpeg", JPEG],
    ["image/gif", bytes("GIF89a..")],
    ["image/webp", bytes("RIFF", [1, 2, 3, 4], "WEBPVP8 ")],
    ["audio/ogg", bytes("OggS", [0])],
    ["audio/amr", bytes("#!AMR\n")],
    ["audio/mpeg", bytes("ID3", [4])],
    ["audio/mpeg", bytes([0xff, 0xfb, 0x90, 0])],
    ["video/mp4", bytes([0, 0, 0, 24], "ftypmp42")],
    ["video/3gpp", bytes([0, 0, 0, 24], "ftyp3gp5")],
    ["application/pdf", bytes("%PDF-1.7")],
    ["text/vcard", bytes("BEGIN:VCARD\r\nVERSION:3.0")],
  ] as const)
    test(type, () => expect(sniffMedia(file)).toBe(type));

  for (const file of [
    "",
    "<html>",
    "<svg xmlns",
    "MZ",
    "PK\u0003\u0004",
    "RIFF....WAVE",
    "GIF8",
    "\xff\xff\xff\xff",
  ])
    test(`${JSON.stringify(file)} is none of ours`, () => expect(sniffMedia(bytes(file))).toBeUndefined());
  test("a HEIC picture is none of ours", () =>
    expect(sniffMedia(bytes([0, 0, 0, 24], "ftypheic"))).toBeUndefined());
});

describe("the pictures of a turn", () => {
  const NEVER = new AbortController().signal;
  const media = (contentType: string, url = contentType) => ({ contentType, url });
  const run = (
    texts: Parameters<typeof withPictures>[0],
    answer: (url: string, max: number) => MediaOutcome | Promise<MediaOutcome>,
  ) => withPictures(texts, async (url, max) => answer(url, max), manualClock(), NEVER);

  test("carry their bytes, with the type the bytes have", async () => {
    const [text] = await run([{ text: "look", media: [media("image/jpeg")] }], () => ({
      kind: "loaded",
      bytes: PNG,
    }));
    expect(text).toEqual({
      text: "look",
      media: [{ url: "image/jpeg", contentType: "image/png", data: PNG }],
    });
  });

  test("are fetched, and sounds and cards are only named", async () => {
    const asked: string[] = [];
    const [text] = await run(
      [{ text: "", media: [media("audio/amr"), media("text/vcard"), media("application/octet-stream")] }],
      (url) => {
        asked.push(url);
        return { kind: "loaded", bytes: JPEG };
      },
    );
    expect(asked).toEqual(["application/octet-stream"]);
    expect(text?.media.map(({ contentType, data }) => [contentType, data !== undefined])).toEqual([
      ["audio/amr", false],
      ["text/vcard", false],
      ["image/jpeg", true],
    ]);
  });

  test("that fail are said in the text, and the others are there", async () => {
    const [text] = await run(
      [{ text: "two", media: [media("image/png", "a"), media("image/png", "b")] }],
      (url) => (url === "a" ? { kind: "failed", reason: "it is too large" } : { kind: "loaded", bytes: PNG }),
    );
    expect(text?.text).toBe("two\n[A picture could not be loaded: it is too large.]");
    expect(text?.media.map(({ url }) => url)).toEqual(["b"]);
  });

  test("are no pictures when their bytes are something else", async () => {
    const [text] = await run([{ text: "", media: [media("image/png")] }], () => ({
      kind: "loaded",
      bytes: bytes("<html>"),
    }));
    expect(text).toEqual({
      text: "[A picture could not be loaded: it is no picture of a known kind.]",
      media: [],
    });
  });

  test("are ten at most, of 20 MB together, and a fetch that rejects is a failure like any other", async () => {
    const many = Array.from({ length: 12 }, (_, index) => media("image/png", String(index)));
    const caps: number[] = [];
    const big = new Uint8Array(MAX_MEDIA_BYTES);
    big.set(PNG);
    const [text] = await run([{ text: "", media: many }], (url, max) => {
      caps.push(max);
      if (url === "0") throw new Error("unexpected");
      return max < big.length
        ? { kind: "failed", reason: "it is too large" }
        : { kind: "loaded", bytes: big };
    });
    expect(caps).toEqual(Array(5).fill(MAX_MEDIA_BYTES));
    expect(text?.media).toHaveLength(4);
    expect(text?.text.match(/more than 10/g)).toHaveLength(2);
    expect(text?.text.match(/too large together/g)).toHaveLength(5);
    expect(text?.text).toContain("something went wrong");
  });

  test("are given up after half a minute together", async () => {
    const clock = manualClock();
    let asked = 0;
    const waiting = withPictures(
      [{ text: "", media: [media("image/png"), media("image/png")] }],
      (_url, _max, signal) =>
        new Promise((resolve) => {
          asked += 1;
          signal.addEventListener("abort", () => resolve({ kind: "failed", reason: "it took too long" }));
        }),
      clock,
      NEVER,
    );
    await clock.advance(30_000);
    expect((await waiting)[0]?.text.match(/took too long/g)).toHaveLength(2);
    expect(asked).toBe(1);
  });
});
