/* The Video tab in the browser: the file, its player, and a cursor on the timeline that follows it. */
(() => {
  const LIMIT_BYTES = 100 * 1024 * 1024, GAP = 1;
  let film = null, timeline = null, at = 0, choice = 0;  // choice: number of the newest file or stop
  let fresh = false;  // whether a file was chosen of which nothing has come yet
  const part = (name) => film.querySelector(`[data-video=${name}]`);
  const player = () => film?.querySelector('video');
  const say = (sentence) => { const place = part('problem'); place.hidden = !sentence; place.textContent = sentence || ''; };
  const capital = (word) => word[0].toUpperCase() + word.slice(1);
  const latest = (moments, time) => moments.filter(([then]) => then <= time + 0.01).at(-1);

  const move = (time) => {
    at = time;
    const root = timeline?.querySelector('.fer-timeline');
    if (!root) return;
    root.style.setProperty('--at', Math.min(time / Number(root.dataset.length), 1));
    root.querySelector('.fer-clock').textContent = `${time.toFixed(1)} s`;
    const slider = root.querySelector('.fer-at');
    if (document.activeElement !== slider) slider.value = time;
    root.querySelectorAll('[data-labels]').forEach((lane) => {
      const label = latest(JSON.parse(lane.dataset.labels), time)?.[1], place = lane.querySelector('.fer-now');
      place.textContent = label ? capital(label) : '–';
      place.style.color = label ? `var(--fer-${label})` : '';
    });
    const affect = root.querySelector('[data-affect]'), last = latest(JSON.parse(affect.dataset.affect), time);
    const now = last && time - last[0] <= GAP ? last : null;
    affect.querySelector('.fer-now').textContent = now ? now.slice(1).map((number) => number.toFixed(2)).join(', ') : '–';
  };
  const seek = (time) => {
    const video = player();
    if (video?.readyState) video.currentTime = time;
    move(time);
  };

  fer.video = (element, trigger, upload) => {
    film = element;
    const video = player();
    const follow = () => {
      if (Math.abs(video.currentTime - at) > 0.02) move(video.currentTime);
      if (!video.paused) requestAnimationFrame(follow);
    };
    video.addEventListener('play', follow);
    video.addEventListener('timeupdate', () => { if (video.paused) follow(); });
    video.addEventListener('error', () => { if (video.src) say('This browser cannot play that video; it is read all the same.'); });
    const hand = async (file) => {
      say('');
      if (file.size > LIMIT_BYTES) { say('The video is too large: the limit is 100 MB.'); return; }
      if (!file.size) { say('The file is empty.'); return; }
      trigger('clear', {stamp: ++choice});  // the one before is read no further
      const mine = ++choice;
      element.classList.add('fer-film-sending');
      fresh = true;
      if (timeline) timeline.hidden = true;
      if (video.src) URL.revokeObjectURL(video.src);
      video.src = URL.createObjectURL(file);
      part('film').hidden = false;
      part('cancel').hidden = false;
      part('choose').textContent = 'Choose another video';
      try {
        const sent = await upload(file);
        if (mine !== choice) return;
        element.classList.remove('fer-film-sending');
        trigger('submit', {path: sent.path, name: file.name, stamp: mine});
      } catch {
        if (mine !== choice) return;
        element.classList.remove('fer-film-sending');
        part('cancel').hidden = true;
        say('The video did not arrive. Please choose it again.');
      }
    };
    fer.films(hand);
    element.addEventListener('change', (event) => {
      if (event.target.dataset.video === 'file' && event.target.files.length) {
        hand(event.target.files[0]);
        event.target.value = '';
      }
    });
    element.addEventListener('click', (event) => {
      const action = event.target.closest('[data-video]')?.dataset.video;
      if (action === 'choose') part('file').click();
      if (action === 'cancel') {
        element.classList.remove('fer-film-sending');
        part('choose').focus();  // the button itself goes
        part('cancel').hidden = true;
        trigger('clear', {stamp: ++choice});
      }
    });
  };
  fer.filming = (element, watch, props) => {
    element.setAttribute('aria-live', 'polite');
    watch('value', () => {
      const reads = String(props.value).includes('fer-filming');
      if (fresh && !reads) return;  // the end of the video before
      fresh = false;
      if (timeline) timeline.hidden = false;
      if (film) part('cancel').hidden = !reads;
    });
  };
  fer.timeline = (element, trigger, watch) => {
    timeline = element;
    element.addEventListener('click', (event) => {
      const button = event.target.closest('[data-track], [data-take]');
      if (button?.dataset.track) trigger('select', {track: Number(button.dataset.track), stamp: fer.nextClick()});
      if (button?.dataset.take) trigger('download', {kind: button.dataset.take});
      const lane = event.target.closest('.fer-lane svg');
      if (lane) {
        const box = lane.getBoundingClientRect();
        seek((event.clientX - box.left) / box.width * Number(lane.closest('.fer-timeline').dataset.length));
      }
    });
    element.addEventListener('input', (event) => { if (event.target.matches('.fer-at')) seek(Number(event.target.value)); });
    watch('value', () => requestAnimationFrame(() => move(at)));  // once it is drawn
  };
})();
