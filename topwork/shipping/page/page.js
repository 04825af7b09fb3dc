// The interface. It knows a `backend`: open(tell) returns the models, classify(file, model, wantsHeat) an answer.

const SHOWN = 5; // classes that are shown at once
const element = (id) => document.getElementById(id);
const asked = []; // the answers, in the order of asking
let model = null;
let queue = Promise.resolve();
let waiting = 0;
let batch = []; // answers since nothing was waiting
let photos = 0;

// Return a new element with a class and children; texts are never read as markup.
function made(tag, name, ...children) {
  const found = document.createElement(tag);
  if (name) found.className = name;
  found.append(...children);
  return found;
}

function tell(text, isBad = false) {
  element("status").textContent = text;
  element("status").classList.toggle("bad", isBad);
}

// Open the backend, and return whether that worked.
async function start() {
  try {
    offer(await withToken(() => backend.open(tell)));
    return true;
  } catch (error) {
    tell(`The page cannot start: ${error.message}.`, true);
    return false;
  }
}

// Ask the backend; as long as its server wants a token, ask for that first.
async function withToken(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!error.needsToken) throw error;
      await token();
    }
  }
}

// Show the field for the token, and return when it was given.
function token() {
  const form = element("access");
  tell(backend.token ? "The token is wrong." : "", Boolean(backend.token));
  form.hidden = false;
  element("token").value = "";
  element("token").focus();
  return new Promise((resume) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      backend.token = element("token").value;
      form.hidden = true;
      resume();
    };
  });
}

// Show the models to choose from, and the first of them.
function offer(models) {
  const select = element("model");
  if (select && models.length > 1) {
    select.replaceChildren(...models.map((one) => made("option", "", one.model)));
    select.onchange = () => {
      clear();
      present(models[select.selectedIndex]);
    };
    element("models").hidden = false;
  }
  present(models[0]);
}

function present(chosen) {
  model = chosen;
  document.title = `${model.model}: what is in the picture?`;
  element("name").textContent = model.model;
  show("question", question(model.labels));
  show("quality", quality(model));
  show("forced", model.forced ? `The file of this model was kept although its answers differ: ${model.forced}.` : "");
  element("about-unknown").hidden = !model.distance;
  element("about-heat").hidden = element("heat-switch").hidden = !model.heat;
  const takesSeveral = model.pictures.length > 1;
  for (const id of ["choose", "photograph"]) element(id).disabled = takesSeveral;
  const names = model.pictures.join(", ");
  if (takesSeveral) tell(`This model takes several pictures together (${names}), and the page only one.`, true);
  else tell("Ready.");
}

function show(id, text) {
  element(id).textContent = text;
  element(id).hidden = !text;
}

function question(labels) {
  const named = labels.slice(0, 12);
  const more = labels.length - named.length;
  const last = more > 0 ? `${more} other classes` : named.pop();
  return `Which of ${labels.length} classes is in your picture: ${named.join(", ")} or ${last}?`;
}

function quality({ accuracy, training }) {
  const pictures = training && training.pictures;
  const learned = pictures ? `It learned from ${pictures.toLocaleString("en")} pictures` : "";
  if (!accuracy) return learned && `${learned}.`;
  const [value, low, high] = [accuracy.value, accuracy.low, accuracy.high].map((one) => `${(100 * one).toFixed()} %`);
  const right = `was right for ${value} of the test pictures (with many more of them, probably ${low} to ${high})`;
  return learned ? `${learned} and ${right}.` : `It ${right}.`;
}

// Put pictures at the top of the list, and classify them one after the other.
function add(files) {
  if (!files.length || (model && model.pictures.length > 1)) return;
  const cards = files.map((file) => card(file));
  element("list").prepend(...cards.map((one) => one.item));
  element("answers").hidden = false;
  waiting += files.length;
  cards.forEach((one) => {
    queue = queue.then(() => classify(one));
  });
}

async function classify(one) {
  const isReady = await ready;
  if (isReady && waiting > 1) tell(`${waiting} pictures are waiting…`);
  const isListed = () => one.item.isConnected; // the list may be cleared at any time
  const answer = isListed() && (await answerFor(one.file, isReady));
  if (isListed()) {
    asked.push(answer);
    fill(one, answer);
    if (isReady) batch.push(answer);
  }
  waiting--;
  if (!waiting && batch.length) {
    tell(summed(batch));
    batch = [];
  }
  await new Promise((resume) => setTimeout(resume)); // so that the browser draws
}

async function answerFor(file, isReady) {
  try {
    if (!isReady) throw new Error("the page did not start");
    return await withToken(() => backend.classify(file, model, element("heat").checked));
  } catch (error) {
    return { path: file.name, label: null, probability: null, probabilities: {}, error: error.message };
  }
}

// Return what the line of status says of answers, which screen readers read out.
function summed(answers) {
  if (answers.length === 1) return said(answers[0]);
  const read = answers.filter((one) => !one.error).length;
  const unknown = answers.filter((one) => one.known === false).length;
  return `Answers for ${read} of ${answers.length} pictures${unknown ? `, ${unknown} of them unknown` : ""}.`;
}

function said({ path, error, label, probability, known }) {
  if (error) return `No answer for ${path}: ${error}.`;
  if (known === false) return `${path}: unknown; the nearest class is ${label}.`;
  return `${path}: ${label}, ${probability.toFixed(2)}.`;
}

// Return an item of the list for a picture that waits for its answer.
function card(file) {
  const image = made("img");
  image.src = URL.createObjectURL(file);
  image.alt = "";
  image.loading = "lazy";
  image.onerror = () => image.replaceWith(made("div", "unseen", "The browser cannot show this picture"));
  const shown = made("div", "shown", made("figure", "", image, made("figcaption", "", file.name)));
  const text = made("div", "said", made("p", "soft", "Waiting…"));
  const item = made("li", "answer", shown, text);
  return { file, item, shown, text };
}

function fill({ item, shown, text }, answer) {
  if (answer.error) {
    const why = `${answer.error[0].toUpperCase()}${answer.error.slice(1)}.`;
    text.replaceChildren(made("h3", "bad", "No answer"), made("p", "", why));
    return;
  }
  const isUnknown = answer.known === false;
  item.classList.toggle("is-unknown", isUnknown);
  const title = made("h3", isUnknown ? "warning" : "", isUnknown ? "Unknown" : answer.label);
  title.dir = "auto";
  text.replaceChildren(title, bars(answer.probabilities));
  if (isUnknown) {
    const why = "It is unlike the pictures that the model learned from. The nearest class is ";
    title.after(made("p", "", why, made("bdi", "", answer.label), "."));
  }
  for (const heat of answer.heat || []) {
    const image = made("img");
    image.src = heat.image;
    image.alt = `Heat map of ${answer.path}`;
    shown.append(made("figure", "map", image, made("figcaption", "", `In orange: what speaks for ${heat.label}`)));
  }
}

function bars(probabilities) {
  const each = model.labels.map((label) => [label, probabilities[label]]).sort((one, other) => other[1] - one[1]);
  const found = made("div", "", made("ol", "bars", ...each.slice(0, SHOWN).map(bar)));
  if (each.length > SHOWN) {
    const more = made("details", "", made("summary", "", `${each.length - SHOWN} more classes`));
    const fillIn = () => more.append(made("ol", "bars", ...each.slice(SHOWN).map(bar)));
    more.addEventListener("toggle", fillIn, { once: true });
    found.append(more);
  }
  return found;
}

function bar([label, probability]) {
  const words = made("div", "words", made("bdi", "", label), made("span", "number", probability.toFixed(2)));
  const inner = made("div", "bar");
  inner.style.width = `${100 * probability}%`;
  const track = made("div", "track", inner);
  track.setAttribute("aria-hidden", "true");
  return made("li", "", words, track);
}

// Return the answers as CSV, with the columns of "topwork predict --csv".
function csv() {
  const fixed = ["path", "label", "probability", "known", "distance"];
  const taken = new Set([...fixed, "error", ...model.labels]);
  const classes = model.labels.map((label) => {
    let name = label;
    if ([...fixed, "error"].includes(label)) while (taken.has(name)) name = `class ${name}`;
    return name;
  });
  const rows = asked.map((answer) => {
    const each = model.labels.map((label) => (answer.error ? "" : answer.probabilities[label]));
    const start = fixed.map((name) => answer[name] ?? "");
    return [...start, ...each, answer.error || ""];
  });
  return [[...fixed, ...classes, "error"], ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
}

function quoted(cell) {
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function save() {
  const link = made("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `${model.model}-answers.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function clear() {
  for (const image of element("list").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  asked.length = 0;
  batch = [];
  element("list").replaceChildren();
  element("answers").hidden = true;
}

function renamed(file, name) {
  const type = file.type.split("/")[1] || "png";
  return new File([file], `${name}.${type}`, { type: file.type });
}

// Take a photo with the camera of a computer; a phone's own camera does it better.
async function photograph() {
  const isPhone = matchMedia("(pointer: coarse)").matches;
  if (isPhone || !navigator.mediaDevices) return element("capture").click();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } } });
  } catch (error) {
    const why = error.name === "NotFoundError" ? "there is none" : "the browser does not allow it";
    return tell(`The camera cannot be used: ${why}.`, true);
  }
  element("video").srcObject = stream;
  element("camera").onclose = () => stream.getTracks().forEach((track) => track.stop());
  element("camera").showModal();
}

function shoot() {
  const video = element("video");
  const canvas = Object.assign(made("canvas"), { width: video.videoWidth, height: video.videoHeight });
  if (!canvas.width) return;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((content) => add([renamed(content, `photo ${++photos}`)]), "image/png");
  element("camera").close();
}

for (const id of ["files", "capture"]) {
  element(id).onchange = ({ target }) => {
    add([...target.files]);
    target.value = "";
  };
}
element("choose").onclick = () => element("files").click();
element("photograph").onclick = photograph;
element("shoot").onclick = shoot;
element("leave").onclick = () => element("camera").close();
element("save").onclick = save;
element("clear").onclick = () => {
  clear();
  tell("The list is empty.");
  element("choose").focus();
};
element("heat").onchange = ({ target }) => document.body.classList.toggle("no-heat", !target.checked);
document.addEventListener("paste", ({ clipboardData }) => {
  const files = [...clipboardData.files];
  add(files.map((file) => (file.name === "image.png" ? renamed(file, `pasted ${++photos}`) : file)));
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  add([...event.dataTransfer.files]);
});
for (const id of ["choose", "photograph"]) element(id).disabled = false;
const ready = start(); // the queue waits for it
