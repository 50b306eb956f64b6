import { addressKind, isE164 } from "../address.ts";
import type { AgentPlan, ChannelPlan, Plan } from "../config/scaffold.ts";
import type { Settings, TwilioAccount } from "../settings.ts";
import type { Option, Questions } from "./questions.ts";

/** A secret that goes into a file of its own beside sms.yaml. */
export interface SecretFile {
  readonly name: string;
  readonly secret: string;
}

export interface Planned {
  readonly plan: Plan;
  readonly secrets: readonly SecretFile[];
}

export interface PlanSeams {
  readonly ask: Questions;
  /** What is configured already; undefined for a new file. */
  readonly present: Settings | undefined;
  /** The numbers of an account, or why they cannot be had. */
  readonly numbersOf: (account: TwilioAccount) => Promise<
    | { readonly kind: "ok"; readonly numbers: readonly string[] }
    /** `refused`: the credentials are wrong. */
    | { readonly kind: "refused" | "failed"; readonly reason: string; readonly fix: string }
  >;
  /** Where Twilio's API is, when not at Twilio's own address. */
  readonly apiUrl: string;
}

/** Asks for everything a channel needs, each answer checked before the next question. */
export async function planChannel(seams: PlanSeams): Promise<Planned> {
  const { ask, present } = seams;
  const provider = await ask.choose<"twilio" | "simulator">("Which carrier?", [
    { value: "twilio", label: "Twilio", hint: "a real number; you need an account" },
    { value: "simulator", label: "Simulator", hint: "simulated phones; costs nothing" },
  ]);
  const taken = Object.keys(present?.channels ?? {});
  const name = await ask.text({
    message: "What should the channel be called?",
    initial: ["sms", "sms-2", "sms-3"].find((free) => !taken.includes(free)) ?? "",
    check: (answer) =>
      /^[a-z0-9][a-z0-9_-]{0,62}$/.test(answer)
        ? taken.includes(answer)
          ? `There is a channel ${answer} already.`
          : undefined
        : "Write a-z, 0-9, _ and -; it becomes part of URLs.",
  });
  const secrets: SecretFile[] = [];
  const carrier: CarrierAnswers =
    provider === "simulator"
      ? { number: await askNumber(ask, "+15550100001"), inbound: "webhook" }
      : await askTwilio(seams, name, secrets);
  const { agent, plan: agentPlan } = await askAgent(seams, secrets);
  const { publicUrl, ...rest } = carrier;
  const channel: ChannelPlan = { name, provider, agent, ...rest };
  return {
    plan: {
      channel,
      ...(publicUrl === undefined ? {} : { publicUrl }),
      ...(agentPlan === undefined ? {} : { agent: agentPlan }),
    },
    secrets,
  };
}

function askNumber(ask: Questions, initial: string): Promise<string> {
  return ask.text({
    message: "Which number sends?",
    initial,
    check: (answer) =>
      isE164(answer) || addressKind(answer) === "whatsapp"
        ? undefined
        : "Write it with country code: +15551234567 (or whatsapp:+15551234567).",
  });
}

interface CarrierAnswers extends Pick<ChannelPlan, "number" | "inbound" | "account"> {
  readonly publicUrl?: string;
}

async function askTwilio(seams: PlanSeams, name: string, secrets: SecretFile[]): Promise<CarrierAnswers> {
  const { ask, present } = seams;
  const { account, own, numbers } = await askAccount(seams, name, secrets);
  const other = "other";
  const chosen =
    numbers.length === 0
      ? other
      : await ask.choose<string>("Which number?", [
          ...numbers.map((value) => ({ value, label: value })),
          { value: other, label: "another", hint: "a WhatsApp sender, say" },
        ]);
  const number = chosen === other ? await askNumber(ask, "") : chosen;
  const known = present?.server.publicUrl;
  const inbound = await ask.choose<"webhook" | "poll">("How do texts come in?", [
    {
      value: "poll",
      label: "We ask Twilio every few seconds",
      hint: "needs no public URL, no tunnel, no open port",
    },
    {
      value: "webhook",
      label: "Twilio calls us",
      hint: known === undefined ? "at once; needs an https address that leads here" : `at ${known}`,
    },
  ]);
  const publicUrl =
    inbound === "webhook" && known === undefined
      ? await ask.text({
          message: "Under which address does Twilio reach this machine?",
          placeholder: "https://sms.example.com",
          check: (answer) =>
            /^https:\/\/[^\s/?#]+/.test(answer) && URL.canParse(answer)
              ? undefined
              : "Write it as https://sms.example.com, without the webhook's path.",
        })
      : undefined;
  return {
    number,
    inbound,
    ...(own ? { account: { sid: account.accountSid, tokenFile: `./${tokenFile(name)}` } } : {}),
    ...(publicUrl === undefined ? {} : { publicUrl }),
  };
}

function tokenFile(name: string): string {
  return name === "sms" ? "twilio-auth-token" : `twilio-auth-token-${name}`;
}

/** Asks for credentials until they work, or the person says that they are right all the same. */
async function askAccount(
  { ask, present, numbersOf, apiUrl }: PlanSeams,
  name: string,
  secrets: SecretFile[],
): Promise<{ readonly account: TwilioAccount; readonly own: boolean; readonly numbers: readonly string[] }> {
  const known = Object.values(present?.channels ?? {}).find(({ provider }) => provider === "twilio")?.account;
  const reuse =
    known !== undefined &&
    (await ask.confirm(`Use the account ${known.accountSid}, as the other channels do?`));
  for (;;) {
    const account: TwilioAccount =
      reuse && known !== undefined
        ? known
        : {
            accountSid: await ask.text({
              message: "Account SID (first page of Twilio's console)",
              placeholder: "AC…",
              check: (answer) =>
                /^AC[0-9a-fA-F]{32}$/.test(answer) ? undefined : "It begins with AC and has 34 characters.",
            }),
            authToken: await ask.secret({
              message: "Auth token (beside it)",
              check: (answer) => (answer === "" ? "Paste the auth token." : undefined),
            }),
            apiUrl,
            messagingUrl: apiUrl.replace("//api.twilio.com", "//messaging.twilio.com"),
          };
    const found = await numbersOf(account);
    if (found.kind === "refused" && !reuse) ask.tell(REFUSED);
    else if (found.kind !== "ok") ask.tell(`${found.reason}. ${found.fix}`);
    else if (found.numbers.length === 0) ask.tell("The account has no number that can do SMS.");
    const doubtful = found.kind !== "ok" && !reuse;
    if (doubtful && !(await ask.confirm("Go on with these credentials all the same?", false))) continue;
    if (!reuse) secrets.push({ name: tokenFile(name), secret: account.authToken });
    return { account, own: !reuse, numbers: found.kind === "ok" ? found.numbers : [] };
  }
}

const REFUSED =
  "Twilio refused these credentials. Check that the SID and the token are of the same account (a subaccount has a token of its own), that they are the live ones and not the test credentials, that both were copied whole, and that the token has not been replaced since.";

const PROVIDERS: readonly Option<"local" | "openai" | "anthropic" | "http" | "echo">[] = [
  { value: "local", label: "A model on this network", hint: "Ollama, llama.cpp, vLLM, LM Studio …" },
  { value: "openai", label: "OpenAI" },
  { value: "anthropic", label: "Anthropic" },
  { value: "http", label: "My own program, over HTTP" },
  { value: "echo", label: "Nobody yet: echo the text back", hint: "to try the way there and back" },
];

async function askAgent(
  { ask, present }: PlanSeams,
  secrets: SecretFile[],
): Promise<{ readonly agent: string; readonly plan?: AgentPlan }> {
  const there = Object.keys(present?.agents ?? {});
  const fresh = "a new one";
  const chosen =
    there.length === 0
      ? fresh
      : await ask.choose<string>("Which agent answers?", [
          ...there.map((value) => ({ value, label: value })),
          { value: fresh, label: fresh },
        ]);
  if (chosen !== fresh) return { agent: chosen };
  const name = there.includes("assistant") ? await askName(ask, there) : "assistant";
  const kind = await ask.choose("Who answers?", PROVIDERS);
  if (kind === "echo") return { agent: name, plan: { name, type: "echo" } };
  if (kind === "http")
    return {
      agent: name,
      plan: { name, type: "http", url: await askUrl(ask, "Its URL", "http://127.0.0.1:9000/sms") },
    };
  const local = kind === "local";
  const baseUrl = local ? await askUrl(ask, "Its address", "http://127.0.0.1:11434/v1") : undefined;
  const model = await ask.text({
    message: "Which model?",
    initial: local ? "qwen3:8b" : "",
    check: (answer) => (answer === "" ? "Write the model's name as its provider does." : undefined),
  });
  const key = local
    ? undefined
    : await ask.secret({
        message: "API key",
        check: (answer) => (answer === "" ? "Paste the API key." : undefined),
      });
  const file = `${name}-api-key`;
  if (key !== undefined) secrets.push({ name: file, secret: key });
  return {
    agent: name,
    plan: {
      name,
      type: "llm",
      provider: local ? "openai-compatible" : kind,
      model,
      ...(baseUrl === undefined ? {} : { baseUrl }),
      ...(key === undefined ? {} : { apiKeyFile: `./${file}` }),
    },
  };
}

function askName(ask: Questions, taken: readonly string[]): Promise<string> {
  return ask.text({
    message: "What should the agent be called?",
    check: (answer) =>
      !/^[a-z0-9][a-z0-9_-]{0,62}$/.test(answer)
        ? "Write a-z, 0-9, _ and -."
        : taken.includes(answer)
          ? `There is an agent ${answer} already.`
          : undefined,
  });
}

function askUrl(ask: Questions, message: string, initial: string): Promise<string> {
  return ask.text({
    message,
    initial,
    check: (answer) =>
      /^https?:\/\/[^\s/?#]+/.test(answer) && URL.canParse(answer) ? undefined : `Write it as ${initial}.`,
  });
}
