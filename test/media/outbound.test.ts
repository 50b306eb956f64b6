import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { uploaded } from "../../src/cli/media.ts";
import { systemRandom } from "../../src/system/files.ts";
import { createMediaShelf } from "../../src/system/media-shelf.ts";
import { cli } from "../support/cli.ts";
import { manualClock } from "../support/clock.ts";
import { PHONE, type Service, type ServiceOptions, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

let service: Service | undefined;
const folders: string[] = [];

afterEach(async () => {
  await service?.close();
  service = undefined;
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "sms-agent-media-"));
  folders.push(made);
  return made;
}

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);

async function start(options: ServiceOptions = {}): Promise<Service> {
  service = await startService(options);
  return service;
}

async function upload(
  running: Service,
  body: Uint8Array<ArrayBuffer> | FormData | string,
  options: { readonly type?: string; readonly query?: string; readonly token?: string } = {},
) {
  const response = await fetch(`${running.adminUrl}/api/v1/media${options.query ?? ""}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${options.token ?? running.token}`,
      ...(body instanceof FormData ? {} : { "content-type": options.type ?? "image/png" }),
    },
    body,
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

function form(...files: readonly (Uint8Array<ArrayBuffer> | string)[]): FormData {
  const made = new FormData();
  for (const [index, file] of files.entries())
    made.append(`file${index}`, typeof file === "string" ? file : new Blob([file]));
  return made;
}

describe("an uploaded file", () => {
  test("is sent: the carrier fetches it from the public listener", async () => {
    const running = await start();
    const { status, body } = await upload(running, PNG, { query: "?channel=sms" });
    expect(status).toBe(201);
    expect(Object.keys(body).sort()).toEqual(["id", "url"]);
    expect(body.url).toMatch(new RegExp(`^${running.publicUrl}/media/[A-Za-z0-9_-]{43}$`));
    const sent = await running.api("POST", "/messages", {
      channel: "sms",
      to: PHONE,
      media_urls: [body.url],
    });
    expect(sent.status).toBe(202);
    const [got] = await running.received(PHONE, 1);
    expect(got?.media[0]?.contentType).toBe("image/png");
    expect(await (await fetch(got?.media[0]?.url ?? "")).bytes()).toEqual(PNG);
  });

  test("uploaded again and sent under the same Idempotency-Key is the same send; another file is not", async () => {
    const running = await start();
    const send = async (bytes: Uint8Array<ArrayBuffer>) => {
      const { url } = (await upload(running, bytes, { query: "?channel=sms" })).body;
      const body = { channel: "sms", to: PHONE, body: "The door", media_urls: [url] };
      return running.api("POST", "/messages", body, { "idempotency-key": "door-1" });
    };
    const first = await send(PNG);
    expect(first.status).toBe(202);
    const again = await send(PNG);
    expect([again.status, again.body.id]).toEqual([202, first.body.id]);
    expect((await send(new Uint8Array([...PNG, 9]))).status).toBe(409);
    await running.received(PHONE, 1);
    await running.app.idle();
    expect(await running.inbox(PHONE)).toHaveLength(1);
  });

  test("is served by GET and HEAD as a file of its own type, and by nothing else", async () => {
    const running = await start();
    const { url } = (await upload(running, form(PNG))).body;
    for (const method of ["GET", "HEAD"]) {
      const response = await fetch(url, { method });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("image/png");
      expect(response.headers.get("content-length")).toBe(String(PNG.length));
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("content-disposition")).toBe('attachment; filename="file.png"');
      expect(await response.bytes()).toEqual(method === "GET" ? PNG : new Uint8Array());
    }
    for (const method of ["POST", "PUT", "DELETE"])
      expect((await fetch(url, { method })).status, method).toBe(405);
    const token = url.slice(-43);
    for (const path of [
      "/media",
      "/media/",
      `/media/${token}/`,
      `/media/${token}.new`,
      `/media/${"A".repeat(43)}`,
      "/media/..%2Fadmin-token",
      "/media/%2e%2e%2fadmin-token",
      "/media/..%5cadmin-token",
      "/media/../admin-token",
    ])
      expect((await fetch(running.publicUrl + path)).status, path).toBe(404);
  });

  test("is kept private on the disk, and is gone after a day", async () => {
    const clock = manualClock(Date.now());
    const running = await start({ clock });
    const { url } = (await upload(running, PNG)).body;
    const kept = join(running.folder, "data", "media");
    expect(statSync(kept).mode & 0o777).toBe(0o700);
    const [name = ""] = readdirSync(kept);
    expect(statSync(join(kept, name)).mode & 0o777).toBe(0o600);
    expect((await fetch(url)).status).toBe(200);
    await clock.advance(24 * 3_600_000 - 60_000);
    expect((await fetch(url)).status).toBe(200);
    await clock.advance(60_000);
    expect((await fetch(url)).status).toBe(404);
    await running.eventually(() => readdirSync(kept).length === 0, "the file to be swept away");
  });

  test("outlives a restart", async () => {
    const first = await start();
    const path = new URL((await upload(first, PNG)).body.url).pathname;
    service = await first.restart();
    expect((await fetch(service.publicUrl + path)).status).toBe(200);
  });

  test("is named by the public URL for a carrier outside, and refused where there is none", async () => {
    const twilio = { account_sid: `AC${"1".repeat(32)}`, auth_token: "t", api_url: "http://127.0.0.1:1" };
    const channels = {
      sms: SMS,
      real: { ...SMS, provider: "twilio", from_number: "+15550100002", inbound: "none" },
    };
    const config = { channels, twilio };
    const running = await start({ config, awaitChannels: false });
    const refused = await upload(running, PNG, { query: "?channel=real" });
    expect(refused.status).toBe(409);
    expect(refused.body.fix).toContain("server.public_url");
    expect((await upload(running, PNG)).status).toBe(409);
    expect((await upload(running, PNG, { query: "?channel=sms" })).status).toBe(201);
    expect((await upload(running, PNG, { query: "?channel=none" })).status).toBe(404);
    const server = { listen: "127.0.0.1:0", public_url: "https://sms.example.com/base" };
    service = await running.restart({ config: { ...config, server } });
    const { url } = (await upload(service, PNG, { query: "?channel=real" })).body;
    expect(url).toStartWith("https://sms.example.com/base/media/");
    const { pathname } = new URL(url);
    for (const path of [pathname, pathname.replace("/base", "")])
      expect((await fetch(service.publicUrl + path)).status).toBe(200);
  });
});

describe("an upload is refused", () => {
  test("when it is too large, empty, of a type that is not sent, or no file at all", async () => {
    const running = await start();
    const large = new Uint8Array(5 * 1024 * 1024 + 1);
    large.set(PNG);
    expect((await upload(running, large.slice(0, -1))).status).toBe(201);
    expect((await upload(running, large)).status).toBe(413);
    expect((await upload(running, new Uint8Array(6 * 1024 * 1024))).status).toBe(413);
    for (const body of ["", "<html><script>1</script>", "<svg xmlns='http://www.w3.org/2000/svg'/>", "MZ"]) {
      const refused = await upload(running, body);
      expect(refused.status, body).toBe(400);
      expect(refused.body.fix).toBeString();
    }
    for (const body of [form(), form(PNG, PNG), form("text"), form(PNG, "text")])
      expect((await upload(running, body)).status).toBe(400);
    expect((await upload(running, '{"path":"/etc/passwd"}', { type: "application/json" })).status).toBe(400);
    expect((await upload(running, "x", { type: "multipart/form-data; boundary=y" })).status).toBe(400);
    expect(readdirSync(join(running.folder, "data", "media"))).toHaveLength(1);
  });

  test("without a token for sending, and for another channel than the token's", async () => {
    const running = await start();
    const token = async (scopes: readonly string[], channels?: readonly string[]) =>
      (await running.api("POST", "/tokens", { name: "t", scopes, ...(channels && { channels }) })).body.token;
    expect((await upload(running, PNG, { token: "wrong" })).status).toBe(401);
    expect((await upload(running, PNG, { token: await token(["read"]) })).status).toBe(403);
    const sender = await token(["messages:send"], ["sms"]);
    expect((await upload(running, PNG, { token: sender, query: "?channel=other" })).status).toBe(403);
    expect((await upload(running, PNG, { token: sender, query: "?channel=sms" })).status).toBe(201);
  });

  test("when the folder is full, until something has expired", async () => {
    const clock = manualClock(Date.now());
    const shelf = createMediaShelf({ dataDir: folder(), clock, random: systemRandom, maxTotal: 30 });
    const file = { contentType: "image/png", bytes: PNG } as const;
    const tokens = await Promise.allSettled([shelf.add(file), shelf.add(file), shelf.add(file)]);
    expect(tokens.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    await clock.advance(24 * 3_600_000);
    await shelf.sweep();
    expect(await shelf.read(await shelf.add(file))).toEqual(file);
  });
});

test("the API takes no path and no file: URL in media_urls", async () => {
  const running = await start();
  for (const url of ["file:///etc/passwd", "/etc/passwd", "./a.png", "data:image/png;base64,AA"]) {
    const refused = await running.api("POST", "/messages", { channel: "sms", to: PHONE, media_urls: [url] });
    expect(refused.status, url).toBe(400);
    expect(refused.body.errors[0].path).toBe("media_urls.0");
  }
});

describe("send --media", () => {
  test("uploads local files, and leaves URLs as they are", async () => {
    const running = await start();
    const path = join(folder(), "a picture.png");
    writeFileSync(path, PNG);
    const target = { url: running.adminUrl, token: running.token };
    const urls = await uploaded(target, "sms", [
      "https://example.com/a.jpg",
      path,
      `file://${encodeURI(path)}`,
    ]);
    expect(urls[0]).toBe("https://example.com/a.jpg");
    for (const url of urls.slice(1)) expect(await (await fetch(url)).bytes()).toEqual(PNG);
  });

  test("sends a file once, however often it is tried with the same key", async () => {
    const running = await start();
    const file = join(folder(), "door.png");
    writeFileSync(file, PNG);
    const send = () =>
      cli(
        running,
        "send",
        "The door",
        "--to",
        PHONE,
        "--media",
        file,
        "--idempotency-key",
        "door-1",
        "--json",
      );
    const [first, again] = [await send(), await send()];
    expect([first.code, again.code]).toEqual([0, 0]);
    expect(JSON.parse(again.out).id).toBe(JSON.parse(first.out).id);
    await running.received(PHONE, 1);
    await running.app.idle();
    expect(await running.inbox(PHONE)).toHaveLength(1);
  });

  test("says what is wrong with a file before it sends anything", async () => {
    const target = { url: "http://127.0.0.1:1", token: "none" };
    const place = folder();
    mkdirSync(join(place, "folder"));
    writeFileSync(join(place, "large"), new Uint8Array(5 * 1024 * 1024 + 1));
    for (const [name, words] of [
      [join(place, "missing.png"), "there is no such file"],
      [join(place, "folder"), "is no file"],
      [join(place, "large"), "at most 5242880"],
      ["ftp://example.com/a.png", "there is no such file"],
    ] as const)
      await expect(uploaded(target, "sms", [name])).rejects.toThrow(words);
    await expect(uploaded(target, "sms", Array(11).fill("https://a.example/"))).rejects.toThrow("at most 10");
  });
});
