// What a Twilio webhook mostly is: Express and Twilio's own middleware, on Node. It stores nothing.
//   node express.js PORT AUTH_TOKEN PROTOCOL://HOST
import express from "express";
import twilio from "twilio";

const [port, authToken, publicUrl] = process.argv.slice(2);
const { protocol, host } = { protocol: publicUrl.split(":")[0], host: publicUrl.split("//")[1] };
const app = express();
app.use(express.urlencoded({ extended: false }));
app.post("/webhooks/twilio/:channel", twilio.webhook(authToken, { protocol, host }), (_request, response) => {
  response.type("text/xml").send("<Response/>");
});
app.listen(Number(port), "127.0.0.1", () => console.log("listening"));
