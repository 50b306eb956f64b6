import { expect, setDefaultTimeout, test } from "bun:test";
import { TURN_SLOTS } from "../../src/turn-slots.ts";
import { afterTest } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { type Hook, openHook } from "../support/hook.ts";
import {
  inboundParameters,
  type LogLine,
  PHONE,
  type Service,
  SMS,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(60_000);

function hook(): Hook {
  const opened = openHook();
  opened.hold();
  afterTest(opened.close);
  return opened;
}

const FLOOD = 500;
const OPEN = { ...SMS, allow_all_senders: true };

interface Started {
  readonly service: Service;
  readonly clock: ManualClock;
}

/** Channels `a`, `b`… with the agents given, and `desk`, whose agent answers at once. */
async function start(stuck: readonly Hook[], desk: Readonly<Record<string, unknown>> = {}): Promise<Started> {
  const clock = manualClock();
  const names = stuck.map((_, i) => String.fromCharCode("a".charCodeAt(0) + i));
  const service = await startService({
    clock,
    config: {
      channels: {
        ...Object.fromEntries(
          names.map((name, i) => [name, { ...OPEN, from_number: `+1555010010${i}`, agent: name }]),
        ),
        desk: { ...OPEN, ...desk },
      },
      agents: {
        parrot: { type: "echo" },
        ...Object.fromEntries(names.map((name, i) => [name, { type: "http", url: stuck[i]?.url }])),
      },
      limits: { segments_per_day: 100_000 },
    },
  });
  afterTest(() => service.close());
  return { service, clock };
}

/** As many people as are given text a channel, one text each. */
async function flood(service: Service, channel: string, people: number): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: people }, (_, i) =>
      service.webhook(inboundParameters(service, { From: `+1555${3_000_000 + i}` }, channel), { channel }),
    ),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
}

const text = (service: Service, From: string, channel: string) =>
  service.webhook(inboundParameters(service, { From }, channel), { channel });

const done = (service: Service): readonly LogLine[] =>
  service.logs.filter(({ event, fields }) => event === "turn.done" && fields.channel === "desk");

test("an agent that hangs, with hundreds of people waiting for it, does not delay a text for another agent", async () => {
  const stuck = hook();
  const { service, clock } = await start([stuck]);
  await flood(service, "a", FLOOD);
  await stuck.request(TURN_SLOTS / 2);
  const before = clock.now();
  for (const [nth, from] of [PHONE, STRANGER, PHONE].entries()) {
    await text(service, from, "desk");
    await service.until(() => done(service).length === nth + 1, "an answer while time stands still");
  }
  expect(clock.now()).toBe(before);
  expect(stuck.requests).toHaveLength(TURN_SLOTS / 2);
});

test("a text that is gathered meanwhile begins its turn on time", async () => {
  const stuck = hook();
  const { service, clock } = await start([stuck], { debounce: "1700ms" });
  await flood(service, "a", 100);
  await stuck.request(TURN_SLOTS / 2);
  await text(service, PHONE, "desk");
  await clock.advance(1_699);
  await clock.flush();
  expect(done(service)).toEqual([]);
  await clock.advance(1);
  await service.until(() => done(service).length === 1, "an answer");
  expect(done(service)[0]?.fields.ms).toBe(0);
});

test("several agents that hang leave room for the next one, and all of theirs are answered when they are well", async () => {
  const [one, two] = [hook(), hook()];
  const { service } = await start([one, two]);
  await flood(service, "a", 150);
  await one.request(TURN_SLOTS / 2);
  await flood(service, "b", 150);
  await two.request(TURN_SLOTS / 4);
  await text(service, PHONE, "desk");
  await service.until(() => done(service).length === 1, "an answer while time stands still");
  for (const agent of [one, two]) {
    agent.respond(() => null);
    for (const held of agent.requests) held.answer(null);
  }
  await service.eventually(
    () => service.logs.filter(({ event }) => event === "turn.done").length === 301,
    "everybody to be served",
  );
  expect([one.requests.length, two.requests.length]).toEqual([150, 150]);
});
