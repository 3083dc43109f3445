// What these tests ask for; as tests/clients/tools.py.
import { z } from "zod";

export const url = process.env.LOCUS_URL;
export const hello = "You said: Say hello to Ada.";
export const ask = [{ role: "user", content: "Say hello to Ada." }];
export const place = z.object({ city: z.string() });
export const Trip = z.object({ city: z.string(), days: z.int(), stops: z.array(z.string()) });
export const trip = { city: "Paris", days: 3, stops: ["Lyon"] };
export const plan = "A trip to Paris via Lyon.";
export const weather = ({ city }) => `sunny in ${city}`;
export const questions = [
  ["What is the weather like in Paris?", "The tools say: sunny in Paris"],
  ["What is the weather like in both Paris and Rome?", "The tools say: sunny in Paris; sunny in Rome"],
];
