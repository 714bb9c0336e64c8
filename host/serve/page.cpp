#include "host/serve/page.h"

#include <fmt/format.h>

#include "host/report/html.h"
#include "host/report/style.h"

namespace dnc::serve {
namespace {

constexpr const char* kStyle = R"css(
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 3rem; max-width: 60rem; background: var(--page);
  color: var(--text); overflow-wrap: anywhere;
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { margin: 0 0 0.3rem; font-size: 1.8rem; line-height: 1.2; letter-spacing: -0.015em; }
h2 { margin: 2.2rem 0 0.8rem; font-size: 1.1rem; line-height: 1.3; }
h1, h2 { font-weight: 650; }
p { margin: 0 0 0.8rem; max-width: 46rem; }
header p, footer, figcaption, .small { color: var(--muted); font-size: 0.9rem; }
a { color: var(--accent); }
code { font: 0.9em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
[hidden] { display: none !important; }

#drop { display: flex; flex-direction: column; align-items: center; justify-content: center;
  gap: 0.2rem; min-height: 10rem; margin: 1.5rem 0; padding: 1.5rem; text-align: center;
  border: 2px dashed var(--muted); border-radius: 8px; background: var(--faint); cursor: pointer; }
#drop:hover, #drop.over, #drop:focus-within { border-color: var(--accent); }
#drop strong { color: var(--accent); font-weight: 600; }
#drop input { position: absolute; width: 1px; height: 1px; opacity: 0; }
#error { padding: 0.7rem 1rem; background: var(--faint); border-left: 3px solid rgb(var(--wrong)); }
.answer { display: grid; gap: 1.5rem 2rem; align-items: start;
  grid-template-columns: minmax(0, 16rem) minmax(0, 1fr); }
.answer img { display: block; width: 100%; border-radius: 4px; background: var(--faint); }
img.enlarged { image-rendering: pixelated; }
ol { margin: 0; padding: 0; list-style: none; }
li { padding: 0.35rem 0; }
li span.value { float: right; padding-left: 1rem; font-variant-numeric: tabular-nums; }
li:first-child { font-weight: 650; }
.bar { height: 5px; margin-top: 0.15rem; border-radius: 3px; background: var(--rule);
  overflow: hidden; }
.bar > div { height: 100%; background: var(--accent); }
.rule { margin: 1.5rem 0 0.8rem; padding: 0.7rem 1rem; max-width: none; background: var(--faint);
  border-left: 3px solid var(--accent); }
.figures { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 9rem), 1fr)); }
.figures.large { grid-template-columns: repeat(auto-fill, minmax(min(100%, 14rem), 20rem)); }
figure { margin: 0; min-width: 0; }
figure img { display: block; width: 100%; border-radius: 4px; background: var(--faint); }
.figures:not(.large) img { aspect-ratio: 1; object-fit: contain; }
figcaption { margin-top: 0.35rem; font-size: 0.8rem; line-height: 1.4; }
figcaption strong { color: var(--text); font-weight: 600; }
footer { margin-top: 3rem; padding-top: 0.8rem; border-top: 1px solid var(--rule); }
pre { overflow-x: auto; margin: 0.4rem 0 0; white-space: pre-wrap; }
@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem; }
  .answer { grid-template-columns: minmax(0, 1fr); }
  .answer figure { max-width: 14rem; }
  .figures { grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); }
}
)css";

// Whatever the server answers is shown as text or as a picture, never as markup.
constexpr const char* kScript = R"js(
'use strict';
const by = id => document.getElementById(id);
const explains = document.body.dataset.explains === 'true';
let shown = null, number = 0;

function element(tag, text, css) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (css) made.className = css;
  return made;
}
function picture(url, caption, ...words) {
  const made = element('figure'), image = element('img');
  image.alt = caption;
  image.onload = () => image.classList.toggle('enlarged', image.naturalWidth <= 64);
  image.src = url;
  const text = element('figcaption');
  text.append(element('strong', caption));
  for (const word of words) text.append(element('br'), word);
  made.append(image, text);
  return made;
}
const percent = share => (share * 100).toFixed(1) + ' %';
function evidence(one) {
  const sample = one.training_sample;
  const words = ['similarity ' + one.similarity.toFixed(3), 'sub-centroid ' + one.sub_centroid];
  if (sample) words.push(sample.name.split('/').pop());
  if (one.picture) return picture(one.picture, one.class, ...words);
  const made = element('figure'), text = element('figcaption');
  text.append(element('strong', one.class));
  for (const word of words) text.append(element('br'), word);
  made.append(text);
  return made;
}
function figures(title, list, css) {
  const grid = element('div', '', css ? 'figures ' + css : 'figures');
  grid.append(...list);
  by('why').append(element('h2', title), grid);
}
function showClasses(answer) {
  by('classes').replaceChildren(...answer.predictions.map(one => {
    const item = element('li', one.class), bar = element('div', '', 'bar'), part = element('div');
    item.prepend(element('span', percent(one.score), 'value'));
    part.style.width = percent(one.score).replace(' ', '');
    bar.append(part);
    item.append(bar);
    return item;
  }));
}
function explain(decision, several) {
  const map = decision.map && decision.map.picture &&
    picture(decision.map.picture, 'Orange speaks for ' + decision.prediction, 'blue against');
  if (decision.picture) {
    figures(decision.prediction, [picture(decision.picture, 'Where'), map].filter(Boolean), 'large');
  } else if (several) {
    by('why').append(element('h2', decision.prediction));
  }
  if (decision.rule && decision.rule.text) {
    const text = [decision.rule.text, decision.rule.verdict].filter(Boolean).join(' ');
    by('why').append(element('p', text, 'rule'));
  }
  if (decision.nearest) figures('The nearest training images', decision.nearest.map(evidence));
  if (decision.counter_evidence) {
    figures('Against it: the nearest of the runner-up', [evidence(decision.counter_evidence)]);
  }
  if (map && !decision.picture) figures('Where in the image it comes from', [map], 'large');
}
function showWhy(answer) {
  by('why').replaceChildren();
  if (answer.pictures) figures('Classes of the pixels',
    [picture(answer.pictures.overlay, 'Each class has a colour')], 'large');
  if (!answer.explanation) return;
  const decisions = answer.explanation.decisions;
  for (const decision of decisions) explain(decision, decisions.length > 1);
  for (const note of answer.explanation.notes) by('why').append(element('p', note, 'small'));
}
async function ask(file) {
  const mine = ++number;
  if (shown) URL.revokeObjectURL(shown);
  shown = URL.createObjectURL(file);
  by('image').src = shown;
  by('name').textContent = file.name || 'pasted image';
  by('error').hidden = true;
  by('busy').hidden = false;
  by('answer').hidden = false;
  by('classes').replaceChildren();
  by('why').replaceChildren();
  let problem = '';
  try {
    const reply = await fetch('predict' + (explains ? '?explain=1' : ''),
                              {method: 'POST', body: file});
    const answer = await reply.json();
    if (mine !== number) return;  // another image came meanwhile
    if (reply.ok) {
      showClasses(answer);
      showWhy(answer);
    } else {
      problem = answer.error;
    }
  } catch (error) {
    problem = 'The server does not answer: ' + error.message;
  }
  if (mine !== number) return;
  by('busy').hidden = true;
  by('error').hidden = !problem;
  by('error').textContent = problem;
}
by('image').onload = () => by('image').classList.toggle('enlarged', by('image').naturalWidth <= 64);
by('file').onchange = () => { if (by('file').files.length) ask(by('file').files[0]); };
addEventListener('dragover', event => { event.preventDefault(); by('drop').classList.add('over'); });
addEventListener('dragleave', () => by('drop').classList.remove('over'));
addEventListener('drop', event => {
  event.preventDefault();
  by('drop').classList.remove('over');
  if (event.dataTransfer.files.length) ask(event.dataTransfer.files[0]);
});
addEventListener('paste', event => {
  if (event.clipboardData.files.length) ask(event.clipboardData.files[0]);
});
)js";

constexpr const char* kBody = R"html(<main>
<label id="drop"><input type="file" id="file" accept="image/*">
<strong>Choose an image</strong><span class="small">or drop or paste one here</span></label>
<p id="error" role="alert" hidden></p>
<section id="answer" hidden aria-live="polite"><div class="answer">
<figure><img id="image" alt="The image"><figcaption id="name"></figcaption></figure>
<div><p id="busy" class="small">Asking the model …</p><ol id="classes"></ol></div></div>
<div id="why"></div></section>
</main>
<footer><p>The same from a program:</p>
<pre><code>curl --data-binary @photo.jpg http://HOST/predict</code></pre>
<p><a href="v2">Open Inference Protocol</a> · <a href="metrics">metrics</a></p></footer>
)html";

}  // namespace

std::string page(const InferenceInfo& model, bool explains) {
  const auto name = report::escape(model.name);
  const auto about =
      fmt::format("{} of {} classes, version {}.{}",
                  model.task == Task::kPixels ? "Every pixel gets one" : "Every image gets one",
                  model.classes.size(), model.version,
                  explains ? " The answer is explained by the nearest training images." : "");
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<meta name=\"color-scheme\" content=\"light dark\">\n<title>" +
         name + "</title>\n<style>" + report::kPageColours + kStyle +
         "</style></head>\n<body data-explains=\"" + (explains ? "true" : "false") +
         "\"><header><h1>" + name + "</h1><p>" + about + "</p></header>\n" + kBody + "<script>" +
         kScript +
         "document.querySelector('pre code').textContent =\n"
         "  document.querySelector('pre code').textContent.replace('HOST', location.host);\n"
         "</script></body></html>\n";
}

}  // namespace dnc::serve
