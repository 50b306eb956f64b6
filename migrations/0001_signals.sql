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
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`ended_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `watches_id` ON `watches` (`id`);--> statement-breakpoint
CREATE INDEX `watches_pending` ON `watches` (`expires_at`) WHERE "watches"."state" = 'pending';--> statement-breakpoint
CREATE INDEX `watches_state` ON `watches` (`state`);--> statement-breakpoint
CREATE INDEX `watches_ended` ON `watches` (`ended_at`) WHERE "watches"."ended_at" is not null;--> statement-breakpoint
ALTER TABLE `messages` ADD `annotation` text;--> statement-breakpoint
ALTER TABLE `messages` ADD `claimed_by` text;--> statement-breakpoint
CREATE INDEX `messages_annotated` ON `messages` (`created_at`) WHERE "messages"."annotation" is not null;--> statement-breakpoint
CREATE INDEX `messages_codes` ON `messages` (`created_at`) WHERE "messages"."annotation" is not null and "messages"."text" is not null and ("messages"."route" = 'signal' or "messages"."claimed_by" is not null);