import type { EventType } from "./event.ts";

/**
 * The configuration as the rest of the program sees it: defaults applied, secrets resolved, paths absolute,
 * durations in milliseconds. `config/` makes it out of sms.yaml; nothing else knows YAML.
 */
export interface Settings {
  readonly server: { readonly listen: ListenAddress; readonly publicUrl?: string };
  readonly admin: {
    readonly listen: ListenAddress;
    readonly token?: string;
    readonly allowedHosts: readonly string[];
  };
  readonly dataDir: string;
  /** Folder of .cedar files; undefined when the key was not given and the default folder is not there. */
  readonly policiesDir?: string;
  readonly channels: Readonly<Record<string, ChannelSettings>>;
  readonly agents: Readonly<Record<string, AgentSettings>>;
  readonly home?: { readonly channel: string; readonly address: string; readonly label?: string };
  readonly timezone: string;
  readonly prices: {
    readonly currency: string;
    readonly outboundSegment: number;
    readonly inboundSegment: number;
  };
  readonly schedules: readonly ScheduleSettings[];
  readonly webhooks: readonly WebhookSettings[];
  readonly limits: {
    readonly senderPerMinute: number;
    readonly segmentsPerReply: number;
    readonly segmentsPerDay: number;
  };
  /** Milliseconds. */
  readonly retention: { readonly messages: number; readonly denied: number; readonly codes: number };
  readonly log: {
    readonly level: "debug" | "info" | "warn" | "error";
    readonly format: "auto" | "pretty" | "json";
  };
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export type Mode = "message" | "signal";

export interface ChannelSettings {
  readonly id: string;
  readonly provider: "twilio" | "simulator";
  readonly sender: Sender;
  readonly mode: Mode;
  /** Absent only for a signal channel. */
  readonly agent?: string;
  readonly enabled: boolean;
  readonly inbound: "webhook" | "poll" | "none";
  readonly pollInterval: number;
  readonly catchUp: number;
  readonly registerWebhook: boolean;
  readonly allowedSenders: readonly { readonly address: string; readonly label?: string }[];
  readonly allowAllSenders: boolean;
  readonly idleTimeout: number;
  readonly session: "address" | "shared";
  readonly debounce: number;
  readonly reply: {
    readonly maxMessages: number;
    readonly overflow: "more" | "split" | "truncate";
    readonly economy: boolean | "max";
  };
  readonly insecureNoSignature: boolean;
  readonly account: TwilioAccount;
}

/** What a channel sends as. A number may carry the `whatsapp:` prefix. */
export type Sender =
  | { readonly kind: "number"; readonly number: string }
  | { readonly kind: "service"; readonly sid: string };

/** `twilio:` merged with the channel's own keys. For the simulator the composition root fills in the URLs. */
export interface TwilioAccount {
  readonly accountSid: string;
  readonly authToken: string;
  readonly authTokenPrevious?: string;
  readonly apiKeySid?: string;
  readonly apiKeySecret?: string;
  readonly apiUrl: string;
  readonly messagingUrl: string;
}

export type AgentSettings = EchoAgent | HttpAgent | CommandAgent | LlmAgent;

export interface EchoAgent {
  readonly id: string;
  readonly type: "echo";
}

export interface HttpAgent {
  readonly id: string;
  readonly type: "http";
  readonly url: string;
  readonly secret?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeout: number;
}

export interface CommandAgent {
  readonly id: string;
  readonly type: "command";
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Working folder: that of the config file. */
  readonly cwd: string;
  readonly timeout: number;
}

export interface LlmAgent {
  readonly id: string;
  readonly type: "llm";
  readonly provider: "openai-compatible" | "openai" | "anthropic";
  readonly baseUrl?: string;
  readonly model: string;
  readonly apiKey?: string;
  readonly system: string;
  readonly timeout: number;
  readonly maxSteps: number;
  readonly history: number;
  readonly tools: readonly string[];
  readonly confirm: readonly string[];
  readonly mcpServers: Readonly<Record<string, McpServerSettings>>;
}

export type McpServerSettings =
  | { readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | {
      readonly command: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      /** Working folder: that of the config file. */
      readonly cwd: string;
    };

export interface ScheduleSettings {
  readonly name: string;
  readonly cron: string;
  readonly timezone: string;
  readonly agent: string;
  readonly prompt: string;
  readonly missed: "skip" | "run_once";
}

export interface WebhookSettings {
  readonly url: string;
  readonly secret: string;
  readonly events: readonly EventType[];
  readonly includeCodes: boolean;
}
