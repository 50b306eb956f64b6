import type {
  PolicyChannel,
  PolicyDecision,
  PolicyEngine,
  PolicyInfo,
  PolicyQuestion,
  PolicySender,
} from "../policy.ts";
import { type Answer, type Prepared, preparePolicies, type Request } from "./cedar.ts";
import { type Reads, readsOf } from "./reads.ts";

/** A policy that passed loading. */
export interface LoadedPolicy extends Omit<PolicyInfo, "hits"> {
  /** Its syntax tree in Cedar's JSON form. */
  readonly tree: unknown;
}

/** Questions whose answers are kept: enough for a busy house, small enough (about 1 MB) not to matter. */
const MAX_REMEMBERED = 2000;
/** A question longer than this (hundreds of paired addresses, where a policy reads them) is not remembered. */
const MAX_KEY = 4000;

/**
 * An engine over policies that have been validated together. An answer is a function of the request alone, so
 * equal requests are answered from memory; what no policy reads is left out of the request (reads.ts).
 */
export function createEngine(
  policies: readonly LoadedPolicy[],
  channels: readonly PolicyChannel[],
  earlierHits: ReadonlyMap<string, number>,
): PolicyEngine {
  const prepared: Prepared = preparePolicies(new Map(policies.map(({ id, text }) => [id, text])));
  const reads = readsOf(policies.map(({ tree }) => tree));
  const order = new Map(policies.map(({ id }, index) => [id, index]));
  const sources = new Map(policies.map(({ id, source }) => [id, source]));
  const hits = new Map(policies.map(({ id }) => [id, earlierHits.get(id) ?? 0]));
  const remembered = new Map<string, PolicyDecision>();
  const alike = new WeakMap<
    PolicyChannel,
    { readonly agent: string; readonly answers: readonly Map<string, PolicyDecision>[] }
  >();
  const elsewhere = unmentionedAddress(reads);

  const inOrder = (ids: readonly string[]) =>
    [...new Set(ids)].sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));

  function decisionOf(answer: Answer): PolicyDecision {
    if (answer.errors.length === 0)
      return { decision: answer.decision, policies: inOrder(answer.reason), errors: [] };
    const forbids = answer.decision === "deny" ? answer.reason : [];
    return {
      decision: "error",
      policies: inOrder([...forbids, ...answer.errors.map(({ policyId }) => policyId)]),
      errors: answer.errors.map(({ policyId, message }) => {
        const cause = message.replace(/^(error occurred )?while evaluating policy `[^`]*`: /, "");
        return `policy "${policyId}" (${sources.get(policyId) ?? "unknown"}) could not be evaluated: ${cause}`;
      }),
    };
  }

  /**
   * The answers to questions that differ in their country only, as nearly all about texts do: to put together what an
   * answer depends on takes longer than all else of the question.
   */
  function alikeOf(question: PolicyQuestion): Map<string, PolicyDecision> | undefined {
    if (question.action !== "receive_message" && question.action !== "receive_signal") return undefined;
    const { agent, channel, sender, numMedia } = question;
    if (reads.now || reads.pairedAddresses || numMedia > 0 || sender.kind !== "mobile") return undefined;
    if (reads.addresses === undefined || reads.addresses.has(sender.address)) return undefined;
    let known = alike.get(channel);
    if (known?.agent !== agent) {
      known = { agent, answers: Array.from({ length: 4 }, () => new Map()) };
      alike.set(channel, known);
    }
    return known.answers[(question.action === "receive_signal" ? 1 : 0) + (sender.paired ? 2 : 0)];
  }

  function answer(question: PolicyQuestion): PolicyDecision {
    const alike = alikeOf(question);
    const country = "sender" in question ? question.sender.country : "";
    const known = alike?.get(country);
    if (known !== undefined) return known;
    const found = ask(question);
    if (found.decision !== "error") alike?.set(country, found);
    return found;
  }

  function ask(question: PolicyQuestion): PolicyDecision {
    try {
      const key = keyOf(question, reads, elsewhere);
      const known = remembered.get(key);
      if (known !== undefined) return known;
      const decision = decisionOf(prepared.ask(requestOf(question, reads, elsewhere, channels)));
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      if (key.length <= MAX_KEY) remembered.set(key, decision);
      return decision;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      return { decision: "error", policies: [], errors: [`the question could not be evaluated: ${cause}`] };
    }
  }

  return {
    decide(question, options) {
      const decision = answer(question);
      if (options?.dryRun !== true) for (const id of decision.policies) hits.set(id, (hits.get(id) ?? 0) + 1);
      return decision;
    },
    list: () =>
      policies.map(({ id, effect, source, text }) => ({ id, effect, source, text, hits: hits.get(id) ?? 0 })),
  };
}

/** Stands for every address that the policies do not mention; undefined when each address may matter. */
function unmentionedAddress({ addresses }: Reads): string | undefined {
  if (addresses === undefined) return undefined;
  let name = "-";
  while (addresses.has(name)) name += "-";
  return name;
}

/** Of a question all that its request is made of, for one engine, whose policies and channels do not change. */
function keyOf(question: PolicyQuestion, reads: Reads, elsewhere: string | undefined): string {
  const of = ({ address, kind, country, paired }: PolicySender) => [
    elsewhere === undefined || reads.addresses?.has(address) ? address : undefined,
    kind,
    country,
    paired,
  ];
  const base = [question.action, question.agent, reads.now ? question.now : 0];
  if (question.action === "invoke_tool")
    return JSON.stringify([base, question.tool, question.server, question.channel, of(question.sender)]);
  const { id, mode, provider } = question.channel;
  // The address comes last, since it alone could hold a line break.
  if (question.action !== "send_message" && !reads.pairedAddresses) {
    const [address, kind, country, paired] = of(question.sender);
    const known = `${question.action}\n${question.agent}\n${reads.now ? question.now : 0}\n${id}\n${mode}\n${provider}`;
    return `${known}\n${question.numMedia}\n${kind}\n${country}\n${paired}\n${address === undefined ? "" : `=${address}`}`;
  }
  const common = [base, id, mode, provider, reads.pairedAddresses ? question.pairedAddresses : []];
  if (question.action === "send_message")
    return JSON.stringify([common, of(question.recipient), question.recipient.inConversation]);
  return JSON.stringify([common, of(question.sender), question.numMedia]);
}

/** The question as Cedar takes it. Messages and recipients have one uid each, since no policy can name one. */
function requestOf(
  question: PolicyQuestion,
  reads: Reads,
  elsewhere: string | undefined,
  channels: readonly PolicyChannel[],
): Request {
  const senderOf = ({ address, kind, country, paired }: PolicySender) => ({
    address: elsewhere === undefined || reads.addresses?.has(address) ? address.toWellFormed() : elsewhere,
    kind,
    country: country.toWellFormed(),
    paired,
  });
  const base = {
    principal: uid("Agent", question.agent),
    action: uid("Action", question.action),
  };
  const now = { __extn: { fn: "datetime", arg: new Date(reads.now ? question.now : 0).toISOString() } };
  if (question.action === "invoke_tool") {
    const tool = uid("Tool", question.tool);
    const parents = question.server === undefined ? [] : [uid("Server", question.server)];
    return {
      ...base,
      resource: tool,
      context: { sender: senderOf(question.sender), channel: question.channel.toWellFormed(), now },
      entities: [{ uid: tool, attrs: {}, parents }, ...channelEntities(reads, channels)],
    };
  }
  const paired = reads.pairedAddresses
    ? question.pairedAddresses.map((address) => address.toWellFormed())
    : [];
  const context = { paired_addresses: paired, now };
  const parents = [uid("Channel", question.channel.id)];
  const around = channelEntities(reads, channels, question.channel);
  if (question.action === "send_message") {
    const resource = uid("Recipient", "recipient");
    const attrs = { ...senderOf(question.recipient), in_conversation: question.recipient.inConversation };
    return { ...base, resource, context, entities: [{ uid: resource, attrs, parents }, ...around] };
  }
  const resource = uid("Message", "message");
  const attrs = { sender: senderOf(question.sender), num_media: question.numMedia };
  return { ...base, resource, context, entities: [{ uid: resource, attrs, parents }, ...around] };
}

/** All channels where a policy reads `mode` or `provider` of one by name; else none, since `in` needs no more. */
function channelEntities(reads: Reads, channels: readonly PolicyChannel[], current?: PolicyChannel) {
  if (!reads.channelAttributes) return [];
  const others = channels.filter(({ id }) => id !== current?.id);
  return [...others, ...(current === undefined ? [] : [current])].map(({ id, mode, provider }) => ({
    uid: uid("Channel", id),
    attrs: { mode, provider },
    parents: [],
  }));
}

function uid(type: string, id: string) {
  return { type: `Policy::${type}`, id: id.toWellFormed() };
}
