CREATE TABLE `attempts` (
	`message` integer NOT NULL,
	`attempt` integer NOT NULL,
	`started_at` integer NOT NULL,
	`day` text,
	`sid` text,
	`outcome` text,
	`detail` text,
	PRIMARY KEY(`message`, `attempt`),
	FOREIGN KEY (`message`) REFERENCES `messages`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `attempts_sid` ON `attempts` (`sid`) WHERE "attempts"."sid" is not null;--> statement-breakpoint
CREATE TABLE `confirmations` (
	`seq` integer PRIMARY KEY NOT NULL,
	`turn_id` text NOT NULL,
	`call_id` text NOT NULL,
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`code` text NOT NULL,
	`state` text NOT NULL,
	`tries` integer NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `confirmations_call` ON `confirmations` (`turn_id`,`call_id`);--> statement-breakpoint
CREATE INDEX `confirmations_sender` ON `confirmations` (`channel`,`address`,`created_at`);--> statement-breakpoint
CREATE INDEX `confirmations_pending` ON `confirmations` (`expires_at`) WHERE "confirmations"."state" = 'pending';--> statement-breakpoint
CREATE INDEX `confirmations_age` ON `confirmations` (`created_at`);--> statement-breakpoint
CREATE TABLE `conversations` (
	`seq` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`key` text NOT NULL,
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`agent` text NOT NULL,
	`started_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	`ended_at` integer,
	`messages` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `conversations_id` ON `conversations` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `conversations_open_key` ON `conversations` (`key`) WHERE "conversations"."ended_at" is null;--> statement-breakpoint
CREATE INDEX `conversations_open_address` ON `conversations` (`channel`,`address`) WHERE "conversations"."ended_at" is null;--> statement-breakpoint
CREATE INDEX `conversations_open` ON `conversations` (`last_at`) WHERE "conversations"."ended_at" is null;--> statement-breakpoint
CREATE INDEX `conversations_ended` ON `conversations` (`last_at`) WHERE "conversations"."ended_at" is not null;--> statement-breakpoint
CREATE INDEX `conversations_activity` ON `conversations` (`last_at`);--> statement-breakpoint
CREATE INDEX `conversations_channel` ON `conversations` (`channel`,`last_at`);--> statement-breakpoint
CREATE TABLE `doubts` (
	`message` integer NOT NULL,
	`attempt` integer NOT NULL,
	`channel` text NOT NULL,
	`recipient` text NOT NULL,
	`state` text NOT NULL,
	`started_at` integer NOT NULL,
	`missed_at` integer,
	`due_at` integer,
	`until_at` integer NOT NULL,
	PRIMARY KEY(`message`, `attempt`),
	FOREIGN KEY (`message`) REFERENCES `messages`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `doubts_due` ON `doubts` (`channel`,`due_at`) WHERE "doubts"."due_at" is not null;--> statement-breakpoint
CREATE INDEX `doubts_recipient` ON `doubts` (`recipient`);--> statement-breakpoint
CREATE INDEX `doubts_untold` ON `doubts` (`message`) WHERE "doubts"."state" = 'untold';--> statement-breakpoint
CREATE INDEX `doubts_age` ON `doubts` (`started_at`);--> statement-breakpoint
CREATE TABLE `early_callbacks` (
	`seq` integer PRIMARY KEY NOT NULL,
	`sid` text NOT NULL,
	`status` text NOT NULL,
	`error_code` integer,
	`error` text,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `early_callbacks_sid` ON `early_callbacks` (`sid`);--> statement-breakpoint
CREATE INDEX `early_callbacks_at` ON `early_callbacks` (`at`);--> statement-breakpoint
CREATE TABLE `events` (
	`seq` integer PRIMARY KEY NOT NULL,
	`nonce` integer NOT NULL,
	`type` text NOT NULL,
	`at` integer NOT NULL,
	`subject` text,
	`state` text,
	`watch` text,
	`content` text
);
--> statement-breakpoint
CREATE INDEX `events_alerts` ON `events` (`at`) WHERE "events"."type" = 'alert';--> statement-breakpoint
CREATE TABLE `file_marks` (
	`name` text PRIMARY KEY NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `heartbeat` (
	`id` integer PRIMARY KEY NOT NULL,
	`at` integer NOT NULL,
	`ballast` blob
);
--> statement-breakpoint
CREATE TABLE `held_replies` (
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`id` text NOT NULL,
	`conversation_id` text NOT NULL,
	`turn_id` text NOT NULL,
	`parts` text NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`channel`, `address`)
);
--> statement-breakpoint
CREATE INDEX `held_replies_expiry` ON `held_replies` (`expires_at`);--> statement-breakpoint
CREATE TABLE `idempotency_keys` (
	`key` text PRIMARY KEY NOT NULL,
	`fingerprint` text NOT NULL,
	`message` integer NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`message`) REFERENCES `messages`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `idempotency_keys_age` ON `idempotency_keys` (`created_at`);--> statement-breakpoint
CREATE INDEX `idempotency_keys_message` ON `idempotency_keys` (`message`);--> statement-breakpoint
CREATE TABLE `judgements` (
	`watch` integer NOT NULL,
	`message` integer NOT NULL,
	`attempts` integer NOT NULL,
	`due_at` integer NOT NULL,
	`lease_until` integer,
	PRIMARY KEY(`watch`, `message`),
	FOREIGN KEY (`watch`) REFERENCES `watches`(`seq`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`message`) REFERENCES `messages`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `judgements_message` ON `judgements` (`message`);--> statement-breakpoint
CREATE INDEX `judgements_due` ON `judgements` (`due_at`) WHERE "judgements"."lease_until" is null;--> statement-breakpoint
CREATE INDEX `judgements_lease` ON `judgements` (`lease_until`) WHERE "judgements"."lease_until" is not null;--> statement-breakpoint
CREATE TABLE `message_events` (
	`seq` integer PRIMARY KEY NOT NULL,
	`message` integer NOT NULL,
	`state` text NOT NULL,
	`at` integer NOT NULL,
	`detail` text,
	FOREIGN KEY (`message`) REFERENCES `messages`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `message_events_message` ON `message_events` (`message`);--> statement-breakpoint
CREATE TABLE `messages` (
	`seq` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`channel` text NOT NULL,
	`direction` text NOT NULL,
	`from_address` text NOT NULL,
	`to_address` text NOT NULL,
	`text` text,
	`media` text,
	`state` text NOT NULL,
	`first_state` text,
	`route` text,
	`conversation_id` text,
	`turn_id` text,
	`provider_sid` text,
	`segments` integer,
	`policies` text,
	`error` text,
	`late` integer NOT NULL,
	`annotation` text,
	`claimed_by` text,
	`content_sid` text,
	`content_variables` text,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`conversation_id`) REFERENCES `conversations`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`turn_id`) REFERENCES `turns`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `messages_id` ON `messages` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `messages_inbound_sid` ON `messages` (`provider_sid`) WHERE "messages"."direction" = 'inbound';--> statement-breakpoint
CREATE INDEX `messages_channel` ON `messages` (`channel`);--> statement-breakpoint
CREATE INDEX `messages_direction` ON `messages` (`direction`);--> statement-breakpoint
CREATE INDEX `messages_state` ON `messages` (`state`);--> statement-breakpoint
CREATE INDEX `messages_route` ON `messages` (`route`) WHERE "messages"."route" is not null;--> statement-breakpoint
CREATE INDEX `messages_from` ON `messages` (`from_address`);--> statement-breakpoint
CREATE INDEX `messages_to` ON `messages` (`to_address`);--> statement-breakpoint
CREATE INDEX `messages_conversation` ON `messages` (`conversation_id`) WHERE "messages"."conversation_id" is not null;--> statement-breakpoint
CREATE INDEX `messages_turn` ON `messages` (`turn_id`) WHERE "messages"."turn_id" is not null;--> statement-breakpoint
CREATE INDEX `messages_annotated` ON `messages` (`created_at`) WHERE "messages"."annotation" is not null;--> statement-breakpoint
CREATE INDEX `messages_codes` ON `messages` (`created_at`) WHERE "messages"."annotation" is not null and "messages"."text" is not null and ("messages"."route" = 'signal' or "messages"."claimed_by" is not null);--> statement-breakpoint
CREATE INDEX `messages_denied` ON `messages` (`created_at`) WHERE +"messages"."route" in ('dropped', 'signal') and instr("messages"."from_address", '***') > 0;--> statement-breakpoint
CREATE INDEX `messages_open` ON `messages` (`channel`,`created_at`) WHERE "messages"."direction" = 'outbound' and "messages"."state" in ('queued', 'sent');--> statement-breakpoint
CREATE TABLE `opt_outs` (
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`channel`, `address`)
);
--> statement-breakpoint
CREATE TABLE `outbox` (
	`message` integer PRIMARY KEY NOT NULL,
	`channel` text NOT NULL,
	`recipient` text NOT NULL,
	`state` text NOT NULL,
	`head` integer NOT NULL,
	`attempt` integer NOT NULL,
	`due_at` integer NOT NULL,
	`until_at` integer,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`message`) REFERENCES `messages`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `outbox_due` ON `outbox` (`channel`,`due_at`) WHERE "outbox"."state" = 'pending' and "outbox"."head" = 1;--> statement-breakpoint
CREATE INDEX `outbox_recipient` ON `outbox` (`channel`,`recipient`);--> statement-breakpoint
CREATE UNIQUE INDEX `outbox_head` ON `outbox` (`channel`,`recipient`) WHERE "outbox"."head" = 1;--> statement-breakpoint
CREATE INDEX `outbox_until` ON `outbox` (`until_at`) WHERE "outbox"."until_at" is not null;--> statement-breakpoint
CREATE INDEX `outbox_age` ON `outbox` (`created_at`) WHERE "outbox"."state" = 'pending';--> statement-breakpoint
CREATE TABLE `paired_addresses` (
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`label` text,
	`paired_at` integer NOT NULL,
	PRIMARY KEY(`channel`, `address`)
);
--> statement-breakpoint
CREATE TABLE `pairing_attempts` (
	`seq` integer PRIMARY KEY NOT NULL,
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `pairing_attempts_sender` ON `pairing_attempts` (`channel`,`address`,`at`);--> statement-breakpoint
CREATE INDEX `pairing_attempts_at` ON `pairing_attempts` (`at`);--> statement-breakpoint
CREATE TABLE `pairing_locks` (
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`until_at` integer NOT NULL,
	PRIMARY KEY(`channel`, `address`)
);
--> statement-breakpoint
CREATE INDEX `pairing_locks_until` ON `pairing_locks` (`until_at`);--> statement-breakpoint
CREATE TABLE `pairings` (
	`channel` text PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`code` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `raw_parameters` (
	`message` integer PRIMARY KEY NOT NULL,
	`parameters` text NOT NULL,
	FOREIGN KEY (`message`) REFERENCES `messages`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `reminders` (
	`seq` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`agent` text NOT NULL,
	`kind` text NOT NULL,
	`content` text NOT NULL,
	`timezone` text NOT NULL,
	`cron` text,
	`next_at` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `reminders_id` ON `reminders` (`id`);--> statement-breakpoint
CREATE INDEX `reminders_due` ON `reminders` (`channel`,`next_at`);--> statement-breakpoint
CREATE INDEX `reminders_recipient` ON `reminders` (`channel`,`address`);--> statement-breakpoint
CREATE TABLE `schedule_runs` (
	`name` text PRIMARY KEY NOT NULL,
	`rule` text NOT NULL,
	`next_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `schedule_runs_due` ON `schedule_runs` (`next_at`);--> statement-breakpoint
CREATE TABLE `tokens` (
	`seq` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	`scopes` text NOT NULL,
	`channels` text,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`last_used_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_id` ON `tokens` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_hash` ON `tokens` (`hash`);--> statement-breakpoint
CREATE TABLE `turn_journal` (
	`seq` integer PRIMARY KEY NOT NULL,
	`turn` integer NOT NULL,
	`entry` text NOT NULL,
	FOREIGN KEY (`turn`) REFERENCES `turns`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `turn_journal_turn` ON `turn_journal` (`turn`);--> statement-breakpoint
CREATE TABLE `turns` (
	`seq` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`key` text NOT NULL,
	`channel` text NOT NULL,
	`address` text NOT NULL,
	`agent` text NOT NULL,
	`conversation_id` text NOT NULL,
	`state` text NOT NULL,
	`attempt` integer NOT NULL,
	`crashes` integer NOT NULL,
	`texts` integer NOT NULL,
	`held` integer NOT NULL,
	`head` integer NOT NULL,
	`created_at` integer NOT NULL,
	`not_before` integer NOT NULL,
	`due_at` integer NOT NULL,
	`look_at` integer NOT NULL,
	`task` text,
	`split_from` text,
	`lease_until` integer,
	`ended_at` integer,
	`error` text,
	`input_tokens` integer,
	`output_tokens` integer,
	FOREIGN KEY (`conversation_id`) REFERENCES `conversations`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `turns_id` ON `turns` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `turns_running` ON `turns` (`key`) WHERE "turns"."state" = 'running';--> statement-breakpoint
CREATE INDEX `turns_lease` ON `turns` (`lease_until`) WHERE "turns"."state" = 'running';--> statement-breakpoint
CREATE INDEX `turns_due` ON `turns` (`channel`,`agent`,`look_at`) WHERE "turns"."state" = 'queued' and "turns"."head" = 1;--> statement-breakpoint
CREATE INDEX `turns_suspect` ON `turns` (`channel`,`look_at`) WHERE "turns"."state" = 'queued' and "turns"."head" = 1 and "turns"."crashes" >= 2;--> statement-breakpoint
CREATE INDEX `turns_parked` ON `turns` (`state`) WHERE "turns"."state" = 'parked';--> statement-breakpoint
CREATE INDEX `turns_active` ON `turns` (`key`,`channel`) WHERE "turns"."ended_at" is null;--> statement-breakpoint
CREATE INDEX `turns_sender` ON `turns` (`channel`,`address`,`look_at`);--> statement-breakpoint
CREATE INDEX `turns_conversation` ON `turns` (`conversation_id`);--> statement-breakpoint
CREATE INDEX `turns_failed` ON `turns` (`conversation_id`) WHERE "turns"."state" = 'failed';--> statement-breakpoint
CREATE TABLE `usage` (
	`day` text NOT NULL,
	`channel` text NOT NULL,
	`inbound` integer NOT NULL,
	`outbound` integer NOT NULL,
	`segments` integer NOT NULL,
	`inbound_segments` integer NOT NULL,
	`input_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL,
	PRIMARY KEY(`day`, `channel`)
);
--> statement-breakpoint
CREATE TABLE `watch_keys` (
	`key` text PRIMARY KEY NOT NULL,
	`fingerprint` text NOT NULL,
	`watch` integer NOT NULL,
	`until_at` integer NOT NULL,
	FOREIGN KEY (`watch`) REFERENCES `watches`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `watch_keys_until` ON `watch_keys` (`until_at`);--> statement-breakpoint
CREATE INDEX `watch_keys_watch` ON `watch_keys` (`watch`);--> statement-breakpoint
CREATE TABLE `watch_signals` (
	`watch` integer NOT NULL,
	`message` integer NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`watch`, `message`),
	FOREIGN KEY (`watch`) REFERENCES `watches`(`seq`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`message`) REFERENCES `messages`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `watch_signals_message` ON `watch_signals` (`message`);--> statement-breakpoint
CREATE TABLE `watches` (
	`seq` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`state` text NOT NULL,
	`filters` text NOT NULL,
	`mode` text NOT NULL,
	`consume` text NOT NULL,
	`backfill` integer NOT NULL,
	`owner` text NOT NULL,
	`turn_id` text,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`ended_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `watches_id` ON `watches` (`id`);--> statement-breakpoint
CREATE INDEX `watches_pending` ON `watches` (`expires_at`) WHERE "watches"."state" = 'pending';--> statement-breakpoint
CREATE INDEX `watches_state` ON `watches` (`state`);--> statement-breakpoint
CREATE INDEX `watches_turn` ON `watches` (`turn_id`) WHERE "watches"."turn_id" is not null;--> statement-breakpoint
CREATE INDEX `watches_ended` ON `watches` (`ended_at`) WHERE "watches"."ended_at" is not null;--> statement-breakpoint
CREATE TABLE `webhooks` (
	`key` text PRIMARY KEY NOT NULL,
	`position` integer NOT NULL,
	`failures` integer NOT NULL,
	`failing_since` integer,
	`paused` integer NOT NULL,
	`due_at` integer NOT NULL,
	`lease_until` integer,
	`lost` text
);
