/* What the page does without asking the server: pictures from camera, disk, clipboard and drops; the dialog of
   a model's card; sorting. Everything a visitor hands in travels as a data URI, so it never becomes a file. */
window.fer = (() => {
  const LIMIT_BYTES = 24e6, LIMIT_PIXELS = 38e6, ONE_OF_MANY_PIXELS = 2e6, ONCE_MS = 2000;
  let stamp = Date.now(), click = stamp, listener = null, early = null;
  let last = {index: 0};  /* what was handed in last; the page opens on the first example */
  const next = () => ++stamp;
  const nextClick = () => ++click;  /* of a face, so that a picture on its way is not taken for an older one */
  /* What is handed in before the page listens is kept until it does. */
  const hand = (...what) => { if (listener) listener(...what); else early = what; };
  const byId = (id) => document.getElementById(id);

  const say = (sentence) => {
    const place = byId('fer-said');
    if (place) { place.hidden = !sentence; place.textContent = sentence || ''; }
  };
  /* Until the first answer comes, what is shown is of the picture before. */
  let waiting = 0;
  const sending = (words) => {
    clearTimeout(waiting);
    document.body.classList.toggle('fer-sending', Boolean(words));
    const place = byId('fer-how');
    if (place) place.textContent = words || place.dataset.words;
    if (words) waiting = setTimeout(sending, 30000);
  };
  const asUrl = (blob) => new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });

  /* A photo past some limits is reduced here, where the browser can read it. */
  const fitting = async (file, limitPixels = LIMIT_PIXELS, pixelsThen = 24e6) => {
    let bitmap = null;
    try { bitmap = await createImageBitmap(file); } catch { return file; }
    const pixels = bitmap.width * bitmap.height;
    if (file.size <= LIMIT_BYTES && pixels <= limitPixels) { bitmap.close(); return file; }
    const scale = Math.min(1, Math.sqrt(pixelsThen / pixels));
    const sheet = document.createElement('canvas');
    sheet.width = Math.round(bitmap.width * scale);
    sheet.height = Math.round(bitmap.height * scale);
    sheet.getContext('2d').drawImage(bitmap, 0, 0, sheet.width, sheet.height);
    bitmap.close();
    return new Promise((done) => sheet.toBlob((blob) => done(blob || file), 'image/jpeg', 0.92));
  };

  const preview = (url) => {
    const picture = document.querySelector('#fer-photo .fer-stage img');
    if (!picture) return;
    const shown = new Image();
    shown.onload = () => {
      const stage = picture.closest('.fer-stage');
      if (!stage.isConnected) return;
      stage.style.setProperty('--ratio', shown.naturalWidth / shown.naturalHeight);
      stage.style.aspectRatio = `${shown.naturalWidth}/${shown.naturalHeight}`;
      stage.querySelectorAll('.fer-box, .fer-hand').forEach((box) => box.remove());
      picture.src = url;
    };
    shown.src = url;
  };

  const openTab = (id) => document.querySelector(`[role=tab][data-tab-id=${id}]`)?.click();
  /* Three tabs show one photo; from the others a new one leads to Compare, as do several from all. */
  const showPhoto = () => {
    const tab = document.querySelector('[role=tab][aria-selected=true]');
    if (!['compare', 'occlude', 'lab'].includes(tab?.dataset.tabId)) openTab('compare');
  };

  /* A video goes to its tab, which may not be drawn yet. */
  let readVideo = null, waitingVideo = null;
  const film = (file) => {
    openTab('video');
    if (readVideo) readVideo(file); else waitingVideo = file;
  };

  const send = async (file) => {
    say('');
    showPhoto();
    if (!file.size) { say('The file is empty.'); return; }
    const mine = next();
    sending('Sending the photo…');
    try {
      const url = await asUrl(await fitting(file));
      if (mine !== stamp) return;
      preview(url);
      last = {picture: url};
      hand('upload', {picture: url, stamp: mine});
    } catch { sending(''); say('The browser could not read that file.'); }
  };
  /* Several photos or a zip become a table; photos are reduced, so that all of them fit into one message. */
  const sendAll = async (files) => {
    const mine = next();
    say('');
    openTab('compare');
    last = null;
    sending('Sending the photos…');
    try {
      const sent = [];
      let bytes = 0;
      for (const file of files) {
        const fit = isZip(file) ? file : await fitting(file, ONE_OF_MANY_PIXELS, ONE_OF_MANY_PIXELS);
        bytes += fit.size;
        if (bytes > LIMIT_BYTES) { sending(''); say('That is more than 24 MB at once: choose fewer photos, or a smaller zip.'); return; }
        sent.push({name: file.name, data: await asUrl(fit)});
      }
      if (mine === stamp) hand('submit', {files: sent, stamp: mine});
    } catch { sending(''); say('The browser could not read one of these files.'); }
  };
  const isZip = (file) => /\.zip$/i.test(file.name) || file.type === 'application/zip';
  const isVideo = (file) => file.type.startsWith('video/') || /\.(mkv|avi|mov|mp4|webm)$/i.test(file.name);  /* many have no type */
  const take = ([...files]) => {
    const clip = files.find(isVideo);
    if (clip) film(clip); else if (files.length > 1 || isZip(files[0])) sendAll(files); else send(files[0]);
  };
  let asked = {photo: null, at: 0};
  const again = () => {
    if (!last || (asked.photo === last && performance.now() - asked.at < ONCE_MS)) return;  /* several tabs miss it at a time */
    if (last.picture) {
      sending('Sending the photo…');
      hand('upload', {...last, stamp: next()});
    } else {
      document.querySelector(`.fer-examples button[data-index="${last.index}"]`)?.click();
    }
    asked = {photo: last, at: performance.now()};
  };

  /* Of a second click while the first is at work nothing comes: two cameras would open, and one stay on. */
  const once = (work) => {
    let busy = false;
    return async () => {
      if (busy) return;
      busy = true;
      try { await work(); } finally { busy = false; }
    };
  };
  const nameCamera = (words) => document.querySelectorAll('[data-do=camera]').forEach((button) => { button.lastChild.textContent = words; });
  const camera = once(async () => {
    if (document.querySelector('.fer-camera')) return;
    say('');
    let stream = null;
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'user', width: {ideal: 1280}}});
    } catch (error) {
      const denied = error && error.name === 'NotAllowedError';
      say(denied ? 'The camera was not allowed. Allow it in the address bar, or upload a photo.'
        : 'No camera could be opened here. Upload a photo instead.');
      return;
    }
    const dialog = document.createElement('dialog');
    dialog.className = 'fer-dialog fer-camera';
    dialog.setAttribute('aria-label', 'Camera');
    dialog.innerHTML = '<video autoplay playsinline muted></video><p><button type="button" class="fer-big fer-first-action" data-take>Take the picture</button><button type="button" class="fer-big" data-leave>Cancel</button></p>';
    document.querySelector('.gradio-container').append(dialog);
    const video = dialog.querySelector('video');
    video.srcObject = stream;
    dialog.addEventListener('close', () => { stream.getTracks().forEach((track) => track.stop()); dialog.remove(); });
    dialog.querySelector('[data-leave]').onclick = () => dialog.close();
    dialog.querySelector('[data-take]').onclick = () => {
      if (!video.videoWidth) return;
      const sheet = document.createElement('canvas');
      sheet.width = video.videoWidth;
      sheet.height = video.videoHeight;
      sheet.getContext('2d').drawImage(video, 0, 0);
      dialog.close();
      sheet.toBlob((blob) => { if (blob) send(blob); nameCamera('Retake'); }, 'image/jpeg', 0.95);
    };
    dialog.showModal();
    dialog.querySelector('[data-take]').focus();
  });

  /* A model's card, large; a second one beside it. */
  const cards = (name) => {
    const all = [...document.querySelectorAll('.fer-answer [data-card-of]')];
    if (!all.length) return;
    const dialog = document.createElement('dialog');
    dialog.className = 'fer-dialog fer-cards';
    dialog.setAttribute('aria-label', 'The model’s card');
    const fill = (place, which) => {
      place.replaceChildren();
      const kept = all.find((one) => one.dataset.cardOf === which);
      if (!kept) return;
      const card = kept.firstElementChild.cloneNode(true);
      const tile = document.querySelector(`.fer-tile[data-card="${CSS.escape(which)}"] img`);
      card.querySelector('img').src = tile ? tile.src : '';
      place.append(card);
    };
    const names = all.map((one) => [one.dataset.cardOf, one.querySelector('h3').textContent]);
    const bar = document.createElement('p');
    const label = document.createElement('label');
    const beside = document.createElement('select');
    beside.append(new Option('nothing', ''), ...names.filter(([key]) => key !== name).map(([key, title]) => new Option(title, key)));
    label.append('Beside it: ', beside);
    const close = Object.assign(document.createElement('button'), {type: 'button', className: 'fer-big', textContent: 'Close'});
    close.onclick = () => dialog.close();
    bar.append(label, close);
    const [left, right] = [document.createElement('div'), document.createElement('div')];
    const both = document.createElement('div');
    both.className = 'fer-both';
    both.append(left, right);
    beside.onchange = () => { fill(right, beside.value); dialog.classList.toggle('fer-wide', Boolean(beside.value)); };
    dialog.append(bar, both);
    fill(left, name);
    document.querySelector('.gradio-container').append(dialog);
    dialog.addEventListener('close', () => dialog.remove());
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
    dialog.showModal();
    close.focus();
  };

  const sortTable = (table, key) => {
    const body = table.tBodies[0];
    [...body.rows].forEach((row, place) => { row.dataset.place ??= place; });
    const rank = (row) => !row.dataset.model ? -Infinity : Number(key ? row.dataset[key] : row.dataset.place);
    const held = document.activeElement;
    body.append(...[...body.rows].sort((one, two) => rank(one) - rank(two)));
    if (body.contains(held)) held.focus();  /* moving its row took the focus away */
  };
  let order = '', flipped = false;
  const flip = (root) => {
    root.querySelectorAll('.fer-tile img[data-other]').forEach((picture) => {
      [picture.src, picture.dataset.other] = [picture.dataset.other, picture.src];
    });
    const button = root.querySelector('[data-flip]');
    if (button) {
      button.setAttribute('aria-pressed', String(flipped));
      button.textContent = flipped ? 'Show the maps' : 'Show the faces';
    }
  };

  document.addEventListener('change', (event) => {
    if (event.target.id === 'fer-file' && event.target.files.length) {
      take(event.target.files);
      event.target.value = '';
    }
    if (event.target.matches('[data-sort]')) {
      if (event.target.closest('#fer-answer')) order = event.target.value;  /* kept for the next answer */
      const table = event.target.closest('.fer-table')?.querySelector('table');
      if (table) sortTable(table, event.target.value);
    }
  });
  document.addEventListener('click', (event) => {
    const target = event.target.closest('[data-do], [data-card], [data-flip]');
    if (!target) return;
    if (target.dataset.do === 'camera') camera();
    if (target.dataset.do === 'upload') byId('fer-file').click();
    if (target.dataset.do === 'clear') { say(''); sending(''); nameCamera('Use my camera'); last = null; hand('clear', {stamp: next()}); }
    if (target.dataset.card) cards(target.dataset.card);
    if ('flip' in target.dataset) { flipped = !flipped; flip(target.closest('.fer-answer')); }
  });
  document.addEventListener('paste', (event) => {
    const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith('image/'));
    if (file) { event.preventDefault(); send(file); }
  });
  document.addEventListener('dragover', (event) => {
    if ([...(event.dataTransfer?.types || [])].includes('Files')) {
      event.preventDefault();
      document.body.classList.add('fer-dropping');
    }
  });
  document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) document.body.classList.remove('fer-dropping'); });
  document.addEventListener('drop', (event) => {
    document.body.classList.remove('fer-dropping');
    const files = event.dataTransfer?.files;
    if (files?.length) { event.preventDefault(); take(files); }
  });

  return {
    send,
    nextClick,
    once,
    films: (read) => {
      readVideo = read;
      if (waitingVideo) read(waitingVideo);
      waitingVideo = null;
    },
    live: (element, watch) => {
      element.setAttribute('aria-live', 'polite');
      const look = () => { if (element.querySelector('[data-forgotten]')) again(); };
      watch('value', look);
      look();  /* a tab that opens for the first time may have been told before */
    },
    actions: (element, trigger) => {
      listener = trigger;
      if (early) trigger(...early);
      early = null;
    },
    examples: (element, trigger) => {
      element.addEventListener('click', (event) => {
        const button = event.target.closest('button[data-index]');
        if (!button) return;
        if (event.isTrusted) showPhoto();
        say('');
        nameCamera('Use my camera');
        sending('Opening the example…');
        last = {index: Number(button.dataset.index)};
        preview(button.querySelector('img').src);
        trigger('select', {...last, stamp: next()});
      });
    },
    /* The strip shows the chosen face, and the keyboard goes back to it where a redraw took it away. */
    photo: (element, trigger, watch) => {
      let picked = null, seen = null;
      element.addEventListener('click', (event) => {
        const button = event.target.closest('[data-face]');
        const stage = event.target.closest('.fer-stage');
        if (button) {
          picked = button.classList.contains('fer-face') ? button.dataset.face : null;
          trigger('select', {index: Number(button.dataset.face), stamp: nextClick()});
        } else if (event.target.closest('[data-rest]')) {
          element.querySelector('.fer-face[aria-pressed=true]')?.focus();  /* the link itself goes */
          trigger('expand', {});
        } else if (stage) {
          const box = stage.getBoundingClientRect();
          trigger('click', {across: (event.clientX - box.left) / box.width, down: (event.clientY - box.top) / box.height});
        }
      });
      watch('value', () => {
        sending('');
        const chosen = element.querySelector('.fer-face[aria-pressed=true]');
        if (chosen && chosen.dataset.face !== seen) {
          const strip = chosen.parentElement, [face, view] = [chosen, strip].map((one) => one.getBoundingClientRect());
          strip.scrollTop += Math.min(0, face.top - view.top) || Math.max(0, face.bottom - view.bottom);
          strip.scrollLeft += Math.min(0, face.left - view.left) || Math.max(0, face.right - view.right);
        }
        seen = chosen ? chosen.dataset.face : null;
        if (picked !== null && document.activeElement === document.body) {
          element.querySelector(`.fer-face[data-face="${picked}"]`)?.focus();
        }
        picked = null;
      });
    },
    palette: (element, trigger) => {
      element.addEventListener('click', (event) => {
        const button = event.target.closest('[data-kind]');
        if (!button) return;
        element.querySelectorAll('[data-kind]').forEach((one) => one.setAttribute('aria-pressed', String(one === button)));
        trigger('select', {kind: button.dataset.kind});
      });
    },
    slider: (element, watch) => {
      watch('value', () => {  /* another cover is cut in the middle again */
        const border = element.querySelector('input[type=range]');
        if (border) border.value = 50;
      });
      element.addEventListener('input', (event) => {
        event.target.closest('.fer-slider')?.style.setProperty('--cut', `${event.target.value}%`);
      });
    },
    easel: (element, trigger, watch) => {
      let from = null;
      const sheet = () => element.querySelector('canvas');
      const place = (event) => {
        const box = sheet().getBoundingClientRect();
        return [(event.clientX - box.left) * sheet().width / box.width, (event.clientY - box.top) * sheet().height / box.height];
      };
      const draw = (to) => {
        const pen = sheet().getContext('2d');
        pen.lineCap = pen.lineJoin = 'round';
        pen.lineWidth = Number(element.querySelector('input[type=range]').value);
        pen.strokeStyle = element.querySelector('input[type=color]').value;
        pen.beginPath();
        pen.moveTo(...from);
        pen.lineTo(...to);
        pen.stroke();
        from = to;
      };
      element.addEventListener('pointerdown', (event) => {
        if (event.target !== sheet()) return;
        event.preventDefault();
        try { sheet().setPointerCapture(event.pointerId); } catch { /* a made-up pointer has none */ }
        from = place(event);
        draw(from);
      });
      const wipe = () => sheet()?.getContext('2d').clearRect(0, 0, sheet().width, sheet().height);
      watch('value', wipe); /* another face may be painted on the same sheet */
      element.addEventListener('pointermove', (event) => { if (from) draw(place(event)); });
      for (const end of ['pointerup', 'pointercancel']) element.addEventListener(end, () => { from = null; });
      element.addEventListener('click', (event) => {
        const action = event.target.dataset.paint;
        if (action === 'wipe') wipe();
        if (action === 'read') trigger('submit', {strokes: sheet().toDataURL('image/png')});
      });
    },
    taken: (element, watch) => {
      watch('value', async () => {
        element.querySelector('[data-taken]')?.click();
        const link = element.querySelector('[data-link]');
        if (!link) return;
        const url = location.origin + location.pathname + link.dataset.link;
        try { await navigator.clipboard.writeText(url); } catch { link.textContent = url; }
      });
    },
    answer: (element, trigger, watch) => {
      element.addEventListener('click', (event) => {
        const button = event.target.closest('[data-take]');
        if (button) trigger('download', {kind: button.dataset.take});
      });
      watch('value', () => {
        sending('');
        const chooser = element.querySelector('[data-sort]');
        if (chooser && order) { chooser.value = order; sortTable(element.querySelector('.fer-matrix'), order); }
        if (flipped) flip(element);
      });
    },
  };
})();
document.documentElement.lang = 'en';
