import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CHECKOUT, openSandbox, type Sandbox, until } from "../support/binary.ts";
import { closing } from "../support/cleanup.ts";
import { followEvents } from "../support/event-stream.ts";
import { freePort } from "../support/free-port.ts";
import { ADMIN_TOKEN, field, freePorts, PHONE, startCarrier, startService, twilioConfig } from "./running.ts";

/*
 * Proxies that people have, with the lines that deploy/README.md tells them to write. One that is not there is not
 * tried.
 */

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

/** What a proxy listens on, and what it leads to. */
interface Ways {
  readonly publicFront: number;
  readonly adminFront: number;
  readonly publicPort: number;
  readonly adminPort: number;
}

interface Proxy {
  readonly name: string;
  readonly program: string;
  /** The path of the public URL. */
  readonly prefix: string;
  readonly args: (file: string) => readonly string[];
  readonly config: (ways: Ways, folder: string) => string;
}

const NOTES = readFileSync(join(CHECKOUT, "deploy", "README.md"), "utf8");

/** The block of the notes that begins with this line, with a listener's port in the place of its usual one. */
function fromNotes(begin: string, usual: 8080 | 8081, port: number): string {
  const from = NOTES.indexOf(`\n${begin}\n`);
  if (from < 0) throw new Error(`deploy/README.md has no line ${begin}`);
  const block = NOTES.slice(from + 1, NOTES.indexOf("\n}\n", from) + 3);
  if (!block.includes(`127.0.0.1:${usual}`)) throw new Error(`deploy/README.md does not lead it to ${usual}`);
  return block.replace(`127.0.0.1:${usual}`, `127.0.0.1:${port}`);
}

const PROXIES: readonly Proxy[] = [
  {
    name: "nginx",
    program: "nginx",
    prefix: "/sms",
    // One process, so that killing it leaves none behind.
    args: (file) => ["-c", file, "-g", "daemon off; master_process off;"],
    config: (ways, folder) => `
pid ${folder}/nginx.pid;
error_log stderr error;
events {}
http {
  access_log off;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((of) => `  ${of}_temp_path ${folder}/${of};`).join("\n")}
  server {
    listen 127.0.0.1:${ways.publicFront};
${fromNotes("location /sms/ {", 8080, ways.publicPort)}
  }
  server {
    listen 127.0.0.1:${ways.adminFront};
${fromNotes("location / {", 8081, ways.adminPort)}
  }
}
`,
  },
  {
    name: "Caddy",
    program: "caddy",
    prefix: "",
    args: (file) => ["run", "--adapter", "caddyfile", "--config", file],
    config: (ways) => `{
	admin off
	default_bind 127.0.0.1
}
${fromNotes("sms.example.com {", 8080, ways.publicPort).replace("sms.example.com", `http://127.0.0.1:${ways.publicFront}`)}
${fromNotes("home.example.com {", 8081, ways.adminPort).replace("home.example.com", `http://127.0.0.1:${ways.adminFront}`)}
`,
  },
];

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});

afterEach(() => sandbox.close());

/** The proxy in front of both listeners of a service that is not there yet. */
async function startProxy(proxy: Proxy, program: string) {
  const ports = freePorts();
  const ways = { ...ports, publicFront: freePort(), adminFront: freePort() };
  const file = sandbox.write("proxy.conf", proxy.config(ways, sandbox.temporary));
  const running = sandbox.start(proxy.args(file), { program });
  const answers = (port: number) => async () =>
    (await fetch(`http://127.0.0.1:${port}${proxy.prefix}/healthz`).catch(() => undefined)) === undefined
      ? undefined
      : true;
  await Promise.race([
    until(`${proxy.name} to listen`, answers(ways.publicFront)),
    running.ended.then(({ stderr }) => Promise.reject(new Error(`${proxy.name} has ended: ${stderr}`))),
  ]);
  return {
    ports,
    publicUrl: `http://127.0.0.1:${ways.publicFront}${proxy.prefix}`,
    adminUrl: `http://127.0.0.1:${ways.adminFront}`,
  };
}

/** Debian keeps servers where only root looks for them. */
const PLACES = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin`;

for (const proxy of PROXIES) {
  const program = Bun.which(proxy.program, { PATH: PLACES });
  if (program === null) {
    test.skip(`behind ${proxy.name}, which is not here (apt install ${proxy.program})`, () => {});
    continue;
  }
  describe(`behind ${proxy.name}, set up as the notes say`, () => {
    test("a phone is paired, answered, and told of to whoever follows the events; nothing private is reached", async () => {
      const carrier = await startCarrier(sandbox);
      const { ports, publicUrl, adminUrl } = await startProxy(proxy, program);
      const config = twilioConfig(carrier, ports);
      const own = `public_url: http://127.0.0.1:${ports.publicPort}`;
      expect(config).toContain(own);
      sandbox.write("sms.yaml", config.replace(own, `public_url: ${publicUrl}`));
      const service = await startService(sandbox, ports);
      await service.status("pairing");
      const channel = await service.api("GET", "/channels/sms");
      expect(channel).not.toHaveProperty("warnings");

      const events = closing(
        await followEvents({ adminUrl, token: ADMIN_TOKEN, types: "message.received,message.status" }),
      );
      expect(events.status).toBe(200);
      await carrier.text(PHONE, field(JSON.parse((await sandbox.run(["pair", "--json"])).stdout), "code"));
      await carrier.received(PHONE, 1);
      await carrier.text(PHONE, "is the oven off? 👋 1+1 &=?#%");
      const texts = await carrier.received(PHONE, 2);
      expect(texts[1]?.text).toBe("is the oven off? 👋 1+1 &=?#%");
      await events.until(
        (told) => told.filter(({ body }) => field(body.data, "state") === "delivered").length === 2,
        "both deliveries",
      );

      for (const path of ["/api/v1/messages", "/metrics", "/openapi.json", "/", "/..%2fapi/v1/messages"])
        expect([path, (await fetch(`${publicUrl}${path}`)).status]).toEqual([path, 404]);
    });

    test("a browser signs in to the console, a wait and a large file get through, and a page of elsewhere changes nothing", async () => {
      const carrier = await startCarrier(sandbox);
      const { ports, adminUrl } = await startProxy(proxy, program);
      sandbox.write("sms.yaml", twilioConfig(carrier, ports, { channel: "inbound: none\nmode: signal" }));
      await startService(sandbox, ports);
      const signIn = (origin: string) =>
        fetch(`${adminUrl}/session`, {
          method: "POST",
          headers: { "content-type": "application/json", origin },
          body: JSON.stringify({ token: ADMIN_TOKEN }),
        });
      expect((await signIn("https://elsewhere.example")).status).toBe(403);
      expect((await signIn(adminUrl)).status).toBe(204);
      const waited = await fetch(`${adminUrl}/api/v1/signals/await`, {
        method: "POST",
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
        body: JSON.stringify({ timeout: "1s" }),
      });
      expect(await waited.json()).toEqual({ status: "timeout" });
      const picture = new Uint8Array(4 * 1024 * 1024);
      picture.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
      const uploaded = await fetch(`${adminUrl}/api/v1/media`, {
        method: "POST",
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "image/png" },
        body: picture,
      });
      expect([uploaded.status, await uploaded.text()]).toEqual([201, expect.stringContaining("url")]);
    });
  });
}
