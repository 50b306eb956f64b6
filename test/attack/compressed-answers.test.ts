import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { createBoundedFetch } from "../../src/system/fetch.ts";
import { afterTest } from "../support/cleanup.ts";

setDefaultTimeout(20_000);

function serve(answer: (request: Request) => Response): string {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  afterTest(() => server.stop(true));
  return server.url.href;
}

const packed = (bytes: Uint8Array<ArrayBuffer> | ReadableStream, encoding: string) =>
  new Response(bytes, { headers: { "content-encoding": encoding, "content-type": "application/json" } });

const MEGABYTE = 1024 * 1024;
const fetch = createBoundedFetch(globalThis.fetch);

describe("an answer that comes compressed", () => {
  const TEXT = JSON.stringify({ words: Array.from({ length: 20_000 }, (_, n) => `é${n}`) });
  const PACKERS = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync } as const;
  for (const [encoding, pack] of Object.entries(PACKERS))
    test(`with ${encoding} is read as what was packed`, async () => {
      const url = serve(() => packed(new Uint8Array(pack(TEXT)), encoding));
      const response = await fetch(url);
      expect(response.headers.get("content-encoding")).toBeNull();
      expect(await response.text()).toBe(TEXT);
    });

  test("and not in a way that was asked for is an error, not an answer", async () => {
    const url = serve(() => packed(new Uint8Array(8), "zstd"));
    await expect(fetch(url)).rejects.toThrow("not asked for");
    const twice = serve(() => packed(new Uint8Array(gzipSync(gzipSync(TEXT))), "gzip, gzip"));
    await expect(fetch(twice)).rejects.toThrow("not asked for");
  });

  test("and broken, or cut off, is an error, not half an answer", async () => {
    const whole = gzipSync(TEXT);
    const broken = serve(() => packed(new Uint8Array(Buffer.from("this was never packed")), "gzip"));
    await expect((await fetch(broken)).text()).rejects.toThrow();
    const half = serve(() => packed(new Uint8Array(whole.subarray(0, whole.length / 2)), "gzip"));
    await expect((await fetch(half)).text()).rejects.toThrow();
  });

  test("is left packed for who wants its bytes", async () => {
    const url = serve(() => packed(new Uint8Array(gzipSync(TEXT)), "gzip"));
    const response = await fetch(url, { decompress: false } as RequestInit);
    expect(response.headers.get("content-encoding")).toBe("gzip");
  });

  test("and is a bomb takes no more memory than what is read of it", async () => {
    // 400 MB of nothing in 400 KB, read by somebody who stops after one megabyte.
    const bomb = new Uint8Array(Buffer.concat(Array(400).fill(gzipSync(Buffer.alloc(MEGABYTE)))));
    const url = serve(() => packed(bomb, "gzip"));
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    let [size, largest, peak] = [0, 0, 0];
    const reader = (await fetch(url)).body?.getReader();
    for (let step = await reader?.read(); step && !step.done; step = await reader?.read()) {
      size += step.value.byteLength;
      largest = Math.max(largest, step.value.byteLength);
      peak = Math.max(peak, process.memoryUsage.rss());
      if (size > MEGABYTE) break;
    }
    await reader?.cancel();
    expect(largest).toBeLessThanOrEqual(64 * 1024);
    expect(peak - before).toBeLessThan(60 * MEGABYTE);
  });
});
