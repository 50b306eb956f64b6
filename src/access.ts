import type { ChannelView } from "./channel-view.ts";
import { AppError } from "./errors.ts";
import type { Operator } from "./operator.ts";
import type { Page } from "./store.ts";
import {
  ADMIN,
  type Caller,
  can,
  demand,
  demandEverywhere,
  maskMessage,
  maskTurn,
  reaches,
} from "./token.ts";

/**
 * What of the operator's view and power a caller has: the one place where scopes and channels of tokens are
 * enforced for it, whichever door the caller came through. Rejects with AppError `forbidden`; a thing of a channel
 * that the caller is kept from is `not_found`, as if it were not there.
 *
 * Who is paired decides whom the agent obeys, so paired addresses and pairing codes, and the policy check that
 * would tell who is paired, are for `admin` only. So is whatever switches, ends or revokes.
 */
export function restrict(operator: Operator, caller: Caller): Operator {
  if (caller === ADMIN) return operator;
  const found = <Thing extends { readonly channel: string }>(thing: Thing, what: string): Thing => {
    if (reaches(caller, thing.channel)) return thing;
    throw new AppError("not_found", `There is no ${what}.`);
  };
  return {
    async channels() {
      demand(caller, "read");
      const all = await operator.channels();
      return all.filter(({ id }) => reaches(caller, id)).map((view) => maskChannel(caller, view));
    },
    async channel(id) {
      demand(caller, "read", id);
      return maskChannel(caller, await operator.channel(id));
    },
    async changeChannel(id, change) {
      demand(caller, "admin", id);
      return operator.changeChannel(id, change);
    },
    async testChannel(id) {
      demand(caller, "admin", id);
      return operator.testChannel(id);
    },
    async beginPairing(channel) {
      demand(caller, "admin", channel);
      return operator.beginPairing(channel);
    },
    async cancelPairing(channel) {
      demand(caller, "admin", channel);
      return operator.cancelPairing(channel);
    },
    async addresses(channel) {
      demand(caller, "admin", channel);
      return operator.addresses(channel);
    },
    async labelAddress(channel, address, label) {
      demand(caller, "admin", channel);
      return operator.labelAddress(channel, address, label);
    },
    async revokeAddress(channel, address) {
      demand(caller, "admin", channel);
      return operator.revokeAddress(channel, address);
    },
    async messages(query) {
      demand(caller, "read");
      const page = await reachedPage(caller, query, operator.messages);
      return { ...page, items: page.items.map((message) => maskMessage(caller, message)) };
    },
    async message(id) {
      demand(caller, "read");
      const message = maskMessage(caller, found(await operator.message(id), `message ${id}`));
      return message.turn === undefined ? message : { ...message, turn: maskTurn(caller, message.turn) };
    },
    async send(command) {
      demand(caller, "messages:send", command.channel);
      const { idempotencyKey: key } = command;
      // The keys of different callers are different keys.
      return operator.send(
        key === undefined ? command : { ...command, idempotencyKey: `${caller.id}/${key}` },
      );
    },
    async resend(request) {
      demand(caller, "messages:send");
      const { channel } = found(await operator.message(request.id), `message ${request.id}`);
      demand(caller, "messages:send", channel);
      const { idempotencyKey: key } = request;
      return operator.resend(
        key === undefined ? request : { ...request, idempotencyKey: `${caller.id}/${key}` },
      );
    },
    homeChannel: operator.homeChannel,
    async notify(command) {
      demand(caller, "messages:send", operator.homeChannel());
      const { idempotencyKey: key } = command;
      return operator.notify(
        key === undefined ? command : { ...command, idempotencyKey: `${caller.id}/${key}` },
      );
    },
    async usage(days) {
      demand(caller, "read");
      const usage = await operator.usage(days);
      return { ...usage, days: usage.days.filter(({ channel }) => reaches(caller, channel)) };
    },
    async conversations(query) {
      demand(caller, "read");
      return reachedPage(caller, query, operator.conversations);
    },
    async conversation(id) {
      demand(caller, "read");
      const conversation = found(await operator.conversation(id), `conversation ${id}`);
      return { ...conversation, turns: conversation.turns.map((turn) => maskTurn(caller, turn)) };
    },
    async endConversation(id) {
      demand(caller, "admin");
      found(await operator.conversation(id), `conversation ${id}`);
      return operator.endConversation(id);
    },
    policies() {
      demandEverywhere(caller, "read");
      return operator.policies();
    },
    async checkPolicy(check) {
      demand(caller, "admin", check.channel);
      return operator.checkPolicy(check);
    },
    configuration() {
      demand(caller, "read");
      return caller.channels === undefined ? operator.configuration() : {};
    },
    async ready() {
      demand(caller, "read");
      const readiness = await operator.ready();
      if (caller.channels === undefined) return readiness;
      const names = ["database", ...caller.channels.map((channel) => `channel ${channel}`)];
      const checks = readiness.checks.filter(({ name }) => names.includes(name));
      return { ready: checks.every(({ ok }) => ok), checks };
    },
  };
}

/** A pairing code is a key to the agent: only who could make one sees it. */
function maskChannel(caller: Caller, view: ChannelView): ChannelView {
  if (can(caller, "admin", view.id)) return view;
  const { pairing: _code, ...shown } = view;
  return { ...shown, state: withoutCode(view.id, view.state) };
}

/** A channel's state for those who must not see its pairing code, which `fix` names. */
export function withoutCode<State extends Pick<ChannelView["state"], "status" | "fix">>(
  channel: string,
  state: State,
): State {
  if (state.status !== "pairing") return state;
  return { ...state, fix: `Run sms-agent pair ${channel} for a code, and text it to the channel's number.` };
}

interface PageQuery {
  readonly channel?: string;
  readonly limit: number;
  readonly cursor?: string;
}

/** Most pages that are read to fill one for a caller who is kept to some channels. */
const PAGES = 20;

/** The part of a list that the caller reaches. A page can be short and still have a successor. */
async function reachedPage<Item extends { readonly channel: string }, Query extends PageQuery>(
  caller: Caller,
  query: Query,
  fetch: (query: Query) => Promise<Page<Item>>,
): Promise<Page<Item>> {
  if (query.channel !== undefined) demand(caller, "read", query.channel);
  if (caller.channels === undefined || query.channel !== undefined) return fetch(query);
  const [only, ...others] = caller.channels;
  if (only === undefined) return { items: [] };
  if (others.length === 0) return fetch({ ...query, channel: only });
  const items: Item[] = [];
  let cursor = query.cursor;
  for (let pages = 0; pages < PAGES; pages++) {
    const page = await fetch({
      ...query,
      limit: query.limit - items.length,
      ...(cursor === undefined ? {} : { cursor }),
    });
    items.push(...page.items.filter((item) => reaches(caller, item.channel)));
    cursor = page.nextCursor;
    if (cursor === undefined || items.length >= query.limit) break;
  }
  return { items, ...(cursor === undefined ? {} : { nextCursor: cursor }) };
}
