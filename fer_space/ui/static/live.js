/* The Live tab in the browser: the camera, the frames that go to the server, and what is drawn of the answers.
   At most two frames are unanswered at any time; those between are never sent. */
(() => {
  const EMOTIONS = ['neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt'];
  const WIDTH = 640, QUALITY = 0.8, FASTEST_MS = 45, UNANSWERED = 2, PATIENCE_MS = 4000;
  const STRIP_MS = 30000, TRAIL_MS = 4000, CENTRE = 160, RADIUS = 132, CALM_MS = 500;
  let element, trigger, camera = null, paused = false, ending = 0, faces = [];
  let sent = -1, answered = -1, sentAt = 0, lastFrame = 0, chosen = null, history = [], shownAt = -Infinity, spokenAt = -Infinity;
  const sheets = Array.from({length: UNANSWERED + 1}, () => document.createElement('canvas'));  // frames on their way
  const part = (name) => element.querySelector(`[data-live=${name}]`);
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  const capital = (word) => word[0].toUpperCase() + word.slice(1);

  const say = (sentence) => { const place = part('problem'); place.hidden = !sentence; place.textContent = sentence || ''; };
  const titles = () => JSON.parse(element.querySelector('.fer-live').dataset.titles);  // name -> [title, colour]

  const start = fer.once(async () => {
    say('');
    if (!navigator.mediaDevices?.getUserMedia) { say('This browser gives its camera to pages over https alone.'); return; }
    let stream = null;
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'user', width: {ideal: WIDTH}, height: {ideal: 480}}});
    } catch (error) {
      say(error?.name === 'NotAllowedError' ? 'The camera was not allowed. Allow it in the address bar, then start again.'
        : 'No camera could be opened here.');
      return;
    }
    const video = element.querySelector('video'), place = element.querySelector('.fer-live');
    camera = stream;  // from here on it can be stopped
    video.srcObject = stream;
    try { await video.play(); } catch { stop('The picture of the camera could not be shown.'); return; }
    if (document.hidden) { stop(''); return; }  // the visitor left while the browser asked
    ending = setTimeout(() => stop(place.dataset.over), place.dataset.minutes * 60000);  // also while it is paused
    paused = false;
    sent = answered = -1;
    history = [];
    chosen = null;
    shownAt = spokenAt = -Infinity;
    place.dataset.on = 'yes';
    buttons();
    requestAnimationFrame(next);
  });
  const stop = (sentence) => {
    if (!camera) return;
    camera.getTracks().forEach((track) => track.stop());
    camera = null;
    clearTimeout(ending);
    element.querySelector('video').srcObject = null;
    delete element.querySelector('.fer-live').dataset.on;
    element.querySelector('.fer-film-boxes').replaceChildren();
    element.querySelector('.fer-film canvas').hidden = true;
    trigger('close_stream', {});
    buttons();
    say(sentence);
  };
  const buttons = () => {
    part('start').textContent = camera ? 'Stop' : 'Start the camera';
    part('start').classList.toggle('fer-first-action', !camera);
    part('pause').disabled = part('keep').disabled = !camera;
    part('pause').setAttribute('aria-pressed', String(paused));
    part('pause').textContent = paused ? 'Go on' : 'Pause';
  };

  /* Send the frame of this moment, unless enough are on their way. */
  const next = (now) => {
    if (!camera) return;
    if (element.offsetParent === null) { stop(''); return; }
    requestAnimationFrame(next);
    const video = element.querySelector('video');
    if (sent > answered && performance.now() - sentAt > PATIENCE_MS) answered = sent;
    if (paused || !video.videoWidth || now - lastFrame < FASTEST_MS || sent - answered >= UNANSWERED) return;
    if (sent === 0 && answered < 0) return;  // the first frame opens the stream
    lastFrame = now;
    const scale = Math.min(1, WIDTH / Math.max(video.videoWidth, video.videoHeight));
    const sheet = sheets[(sent + 1) % sheets.length];
    sheet.width = Math.round(video.videoWidth * scale);
    sheet.height = Math.round(video.videoHeight * scale);
    sheet.getContext('2d').drawImage(video, 0, 0, sheet.width, sheet.height);
    const frame = sheet.toDataURL('image/jpeg', QUALITY);
    sent += 1;
    sentAt = performance.now();
    trigger('stream', {number: sent, frame});
  };

  const answer = (reading) => {
    if (!camera || reading?.number === undefined || reading.number === null) return;
    answered = Math.max(answered, reading.number);
    if (reading.stop) { stop(reading.stop); return; }
    if (reading.dropped || paused) return;
    const now = performance.now();
    faces = reading.faces;
    if (!faces.some((face) => face.track === chosen)) chosen = faces.length ? faces[0].track : null;
    const face = faces.find((one) => one.track === chosen) || null;
    history.push({now, face, ms: reading.ms});
    while (history.length && now - history[0].now > STRIP_MS) history.shift();
    show(sheets[reading.number % sheets.length]);
    boxes();
    if (still.matches && now - shownAt < CALM_MS) return;
    shownAt = now;
    bars(face);
    plane(now);
    strip(now);
    rate(now);
    speak(face, now);
  };

  /* The frame that was read lies under its boxes, so that they fit however slow the answer was. */
  const show = (sheet) => {
    const film = element.querySelector('.fer-film canvas');
    if (!sheet.width) return;
    if (film.width !== sheet.width || film.height !== sheet.height) [film.width, film.height] = [sheet.width, sheet.height];
    film.getContext('2d').drawImage(sheet, 0, 0);
    film.hidden = false;
  };

  const boxes = () => {
    const film = element.querySelector('.fer-film-boxes');
    const old = new Map([...film.children].map((box) => [box.dataset.track, box]));
    for (const face of faces) {
      const key = String(face.track);
      let box = old.get(key);
      old.delete(key);
      if (!box) {
        box = document.createElement('button');
        box.type = 'button';
        box.className = 'fer-live-box';
        box.dataset.track = key;
        box.append(document.createElement('span'));
        film.append(box);
      }
      const [left, top, width, height] = face.box;
      Object.assign(box.style, {left: `${100 - left - width}%`, top: `${top}%`, width: `${width}%`, height: `${height}%`});
      box.classList.toggle('fer-flush-right', 100 - left > 60);
      box.classList.toggle('fer-below', top < 8);
      box.setAttribute('aria-pressed', String(face.track === chosen));
      box.setAttribute('aria-label', `Face ${face.track}: ${face.label}`);
      box.firstChild.textContent = `${capital(face.label)} ${face.share} %${face.agree ? '' : ' · split'}`;
    }
    old.forEach((box) => box.remove());
  };

  const bars = (face) => {
    const place = part('models'), models = face ? face.models : [];
    const names = models.map((model) => model.name).join(' ');
    if (names && place.dataset.names !== names) {
      place.dataset.names = names;
      const known = titles();
      place.replaceChildren(...models.map((model) => {
        const card = part('model').content.firstElementChild.cloneNode(true);
        card.dataset.model = model.name;
        card.querySelector('h3').textContent = known[model.name]?.[0] || model.name;
        card.style.setProperty('--mark', known[model.name]?.[1] || '#64748b');
        return card;
      }));
    }
    place.classList.toggle('fer-nobody', !face);
    models.forEach((model, index) => {
      const card = place.children[index];
      const top = Math.max(...model.p.map((p) => p ?? 0));
      card.style.setProperty('--emotion', `var(--fer-${model.label})`);
      card.querySelector('strong').textContent = capital(model.label);
      card.querySelector('.fer-top span').textContent = `${Math.round(top)} %`;
      card.querySelectorAll('li').forEach((row, column) => {
        const p = model.p[column];
        row.classList.toggle('fer-absent', p === null);
        row.classList.toggle('fer-first', EMOTIONS[column] === model.label);
        row.querySelector('em').style.width = `${p ?? 0}%`;
        row.querySelector('i').setAttribute('aria-valuenow', String(Math.round(p ?? 0)));
        row.querySelector('b').textContent = p === null ? '–' : `${Math.round(p)} %`;
      });
    });
  };

  const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const spot = (face) => [CENTRE + RADIUS * mean(face.models.map((m) => m.valence)), CENTRE - RADIUS * mean(face.models.map((m) => m.arousal))];
  const plane = (now) => {
    const recent = history.filter((moment) => moment.face?.track === chosen && now - moment.now < TRAIL_MS).map((moment) => spot(moment.face));
    const dot = part('dot'), last = recent.at(-1);
    part('trail').setAttribute('points', recent.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' '));
    dot.setAttribute('visibility', last ? 'visible' : 'hidden');
    if (last) { dot.setAttribute('cx', last[0].toFixed(1)); dot.setAttribute('cy', last[1].toFixed(1)); }
  };

  const strip = (now) => {
    const lanes = part('lanes'), known = titles();
    const names = [...new Set(history.flatMap((moment) => moment.face ? moment.face.models.map((m) => m.name) : []))];
    part('strip').hidden = !names.length;
    if (lanes.dataset.names !== names.join(' ')) {
      lanes.dataset.names = names.join(' ');
      lanes.replaceChildren(...[...names, ''].map((name) => {
        const row = document.createElement('p'), title = document.createElement('span'), canvas = document.createElement('canvas');
        row.dataset.lane = name;
        title.textContent = name ? known[name]?.[0] || name : 'Disagree';
        canvas.width = 900;
        canvas.height = name ? 18 : 8;
        canvas.setAttribute('role', 'img');
        row.append(title, canvas);
        return row;
      }));
    }
    const style = getComputedStyle(document.body);
    const colours = Object.fromEntries(EMOTIONS.map((emotion) => [emotion, style.getPropertyValue(`--fer-${emotion}`).trim()]));
    const ink = style.getPropertyValue('--fer-ink').trim();
    for (const row of lanes.children) {
      const canvas = row.lastChild, pen = canvas.getContext('2d'), name = row.dataset.lane, seconds = {};
      pen.clearRect(0, 0, canvas.width, canvas.height);
      history.forEach((moment, index) => {
        const until = history[index + 1]?.now ?? now;
        const label = name ? moment.face?.models.find((m) => m.name === name)?.label : (moment.face && !moment.face.agree ? 'differ' : null);
        if (!label) return;
        const [left, right] = [moment.now, until].map((then) => Math.round(canvas.width * (1 - (now - then) / STRIP_MS)));
        pen.fillStyle = colours[label] || ink;
        pen.fillRect(left, 0, Math.max(right - left, 1), canvas.height);
        seconds[label] = (seconds[label] || 0) + (until - moment.now) / 1000;
      });
      const words = Object.entries(seconds).sort((one, two) => two[1] - one[1]).map(([label, much]) => `${label} ${much.toFixed(0)} s`).join(', ');
      canvas.setAttribute('aria-label', `${row.firstChild.textContent}: ${words || 'nothing'}`);
    }
  };
  const rate = (now) => {
    const recent = history.filter((moment) => now - moment.now < 3000);
    if (recent.length < 2) return;
    const fps = (recent.length - 1) * 1000 / (recent.at(-1).now - recent[0].now);
    const place = part('rate');
    place.dataset.fps = fps.toFixed(2);
    place.textContent = `${fps.toFixed(fps < 10 ? 1 : 0)} frames a second, ${Math.round(mean(recent.map((moment) => moment.ms)))} ms of reading each; frames between are not sent.`;
  };
  const speak = (face, now) => {
    if (now - spokenAt < 5000) return;
    spokenAt = now;
    const words = face ? `${capital(face.label)}, ${face.agree ? 'all models agree' : 'the models disagree'}` : 'No face in the picture';
    if (part('spoken').textContent !== words) part('spoken').textContent = words;
  };

  /* Hand the frame of this moment to Compare, whose tab opens. */
  const keep = () => {
    const video = element.querySelector('video'), full = document.createElement('canvas');
    if (!video.videoWidth) return;
    full.width = video.videoWidth;
    full.height = video.videoHeight;
    full.getContext('2d').drawImage(video, 0, 0);
    full.toBlob((blob) => { if (blob) fer.send(blob); }, 'image/jpeg', 0.95);
  };

  fer.stage = (place, send) => {
    [element, trigger] = [place, send];
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-live], [data-track]');
      if (!button) return;
      if (button.dataset.track) {
        chosen = Number(button.dataset.track);
        boxes();
        bars(faces.find((one) => one.track === chosen) || null);
        plane(performance.now());
      }
      if (button.dataset.live === 'start') { if (camera) stop(''); else start(); }
      if (button.dataset.live === 'pause') { paused = !paused; element.querySelector('video')[paused ? 'pause' : 'play'](); buttons(); }
      if (button.dataset.live === 'keep') keep();
    });
    addEventListener('pagehide', () => stop(''));
    document.addEventListener('visibilitychange', () => { if (document.hidden) stop(''); });
  };
  fer.reading = (watch, props) => watch('value', () => answer(props.value));
})();
