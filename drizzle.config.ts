import { defineConfig } from "drizzle-kit";

/** `bunx drizzle-kit generate` writes the next file of `migrations/` from the difference to the schema. */
export default defineConfig({
  dialect: "sqlite",
  schema: "./src/store/schema.ts",
  out: "./migrations",
});
