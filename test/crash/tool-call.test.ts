import { afterEach, expect, test } from "bun:test";
import { type HttpServer, scriptedServer } from "../agents/mcp-http-servers.ts";
import {
  field,
  freePorts,
  list,
  PHONE,
  startCarrier,
  startService,
  twilioConfig,
} from "../binary/running.ts";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";
import { type ModelServer, startModelServer } from "../support/model-server.ts";

let sandbox: Sandbox | undefined;
let model: ModelServer | undefined;
let house: HttpServer | undefined;

afterEach(async () => {
  await sandbox?.close();
  await model?.stop();
  house?.stop();
});

test("a service that is killed between a tool call and its result does not repeat it, and its model learns that the outcome is unknown", async () => {
  const own = await openSandbox();
  sandbox = own;
  const scripted = await startModelServer(
    { toolCalls: [{ name: "home__unlock_door", arguments: { door: "back" } }] },
    { text: "I cannot tell whether the door is open." },
  );
  model = scripted;
  let calls = 0;
  const slow = scriptedServer({
    "tools/list": () => ({ tools: [{ name: "unlock_door", inputSchema: { type: "object" } }] }),
    "tools/call": () => {
      calls += 1;
      return new Promise<never>(() => {});
    },
  });
  house = slow;
  const carrier = await startCarrier(own);
  const ports = freePorts();
  own.write(
    "policies/tools.cedar",
    '@id("all") permit(principal, action == Policy::Action::"invoke_tool", resource);',
  );
  const agent = `{ type: llm, base_url: "${scripted.baseUrl}", model: scripted, mcp_servers: { home: { url: "${slow.url}" } } }`;
  own.write("sms.yaml", twilioConfig(carrier, ports, { channel: "allow_all_senders: true", agent }));

  const first = await startService(own, ports);
  await first.status("connected");
  await carrier.text(PHONE, "open the back door");
  await until("the call to reach the house", () => (calls === 1 ? true : undefined));
  first.process.kill("SIGKILL");
  expect((await first.process.ended).signal).toBe("SIGKILL");

  const second = await startService(own, ports);
  const texts = await carrier.received(PHONE, 1);
  expect(texts.map(({ text }) => text)).toEqual(["I cannot tell whether the door is open."]);
  expect(JSON.stringify(scripted.requests[1]?.body.messages)).toContain(
    "Outcome unknown: the service was interrupted",
  );
  const [asked] = list(await second.api("GET", "/messages?direction=inbound"));
  const shown = await second.api("GET", `/messages/${field(asked, "id")}`);
  expect(shown).toMatchObject({
    state: "handled",
    turn: {
      state: "done",
      attempt: 2,
      calls: [{ tool: "home.unlock_door", outcome: "unknown", policies: ["all"] }],
    },
  });
  await second.stop();
  expect(calls).toBe(1);
  expect(scripted.requests).toHaveLength(2);
  const sent = (await carrier.texts(PHONE)).filter(({ direction }) => direction === "outbound");
  expect(sent).toHaveLength(1);
}, 60_000);
