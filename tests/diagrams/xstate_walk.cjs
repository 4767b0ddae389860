// Walks XState definitions: reads [{definition, walks}] from the standard input, writes the [state, actions] of each step.
// Deadlines pass by a simulated clock; guards hold as the step says.
const { SimulatedClock, createActor, createMachine } = require("xstate");

function walk(definition, steps) {
  let holding = [];
  let done = [];
  const names = JSON.stringify(definition);
  const named = (pattern) => [...new Set([...names.matchAll(pattern)].map((found) => found[1]))];
  const guards = named(/"guard":"(\w+)"/g).map((name) => [name, () => holding.includes(name)]);
  const actions = named(/"actions":\["(\w+)"\]/g).map((name) => [name, () => done.push(name)]);
  const implementations = { guards: Object.fromEntries(guards), actions: Object.fromEntries(actions) };
  const clock = new SimulatedClock();
  const actor = createActor(createMachine(definition, implementations), { clock });
  actor.start();
  return steps.map((step) => {
    holding = step.guards;
    done = [];
    if (step.trigger === "DEADLINE_PASSED") clock.increment(step.seconds * 1000);
    else actor.send({ type: step.trigger });
    return [actor.getSnapshot().value, done.join("")];
  });
}

let text = "";
process.stdin.on("data", (piece) => (text += piece));
process.stdin.on("end", () => {
  const asked = JSON.parse(text);
  console.log(JSON.stringify(asked.map(({ definition, walks }) => walks.map((steps) => walk(definition, steps)))));
});
