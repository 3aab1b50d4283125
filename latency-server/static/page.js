// What the pages do beyond plain forms: names are proposed while one types, a click on the map is a place, and the
// status follows the server. Nothing here is needed.
'use strict'

/** Proposes places for a text field: a combobox with a list (WAI-ARIA Authoring Practices). */
function propose(input) {
  const list = document.createElement('ul')
  list.id = `${input.id}-places`
  list.className = 'places'
  list.setAttribute('role', 'listbox')
  list.setAttribute('aria-label', 'Places')
  list.hidden = true
  const said = document.createElement('p')
  said.className = 'unseen'
  said.setAttribute('role', 'status')
  input.after(list, said)
  // The list stands in for the one of browsers without scripts.
  input.removeAttribute('list')
  for (const [name, value] of [
    ['role', 'combobox'],
    ['aria-autocomplete', 'list'],
    ['aria-controls', list.id],
    ['aria-expanded', 'false'],
  ]) {
    input.setAttribute(name, value)
  }

  let asked
  let wait

  const close = () => {
    clearTimeout(wait)
    asked?.abort()
    list.hidden = true
    input.setAttribute('aria-expanded', 'false')
    input.removeAttribute('aria-activedescendant')
  }

  const choose = (option) => {
    input.value = option.dataset.value
    close()
  }

  const activate = (option) => {
    for (const other of list.children) other.setAttribute('aria-selected', String(other === option))
    input.setAttribute('aria-activedescendant', option.id)
    option.scrollIntoView({ block: 'nearest' })
  }

  const show = (places) => {
    const options = places.map((place, at) => {
      const option = document.createElement('li')
      option.id = `${list.id}-${at}`
      option.dataset.value = place.label
      option.setAttribute('role', 'option')
      option.setAttribute('aria-selected', 'false')
      option.textContent = place.label.startsWith(place.name) ? place.label : `${place.label} (${place.name})`
      // Before the field loses the focus, and the list is closed.
      option.addEventListener('mousedown', (event) => {
        event.preventDefault()
        choose(option)
      })
      return option
    })
    list.replaceChildren(...options)
    list.hidden = options.length === 0
    input.setAttribute('aria-expanded', String(!list.hidden))
    input.removeAttribute('aria-activedescendant')
    said.textContent = options.length === 0 ? 'No such place' : `${options.length} places`
  }

  const ask = async () => {
    asked?.abort()
    asked = new AbortController()
    const { signal } = asked
    try {
      const answer = await fetch(`/places?limit=8&q=${encodeURIComponent(input.value.trim())}`, { signal })
      if (answer.ok) show((await answer.json()).suggestions)
    } catch {
      // Without proposals the form is what it is without scripts.
    }
  }

  input.addEventListener('input', () => {
    clearTimeout(wait)
    if (input.value.trim().length < 2) return close()
    wait = setTimeout(ask, 120)
  })
  input.addEventListener('blur', close)
  input.addEventListener('keydown', (event) => {
    const options = [...list.children]
    const at = options.findIndex((option) => option.getAttribute('aria-selected') === 'true')
    if (event.key === 'Escape' && !list.hidden) {
      event.preventDefault()
      close()
    } else if (event.key === 'Enter' && !list.hidden && at >= 0) {
      event.preventDefault()
      choose(options[at])
    } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && !list.hidden) {
      event.preventDefault()
      const step = event.key === 'ArrowDown' ? 1 : -1
      const next = at < 0 && step < 0 ? options.length - 1 : (at + step + options.length) % options.length
      activate(options[next])
    }
  })
}

/** Clicks on the map give the place that was in the focus last, or the first that is empty, its coordinates. */
function pick(map, inputs) {
  const hint = document.querySelector('[data-map-hint]')
  hint.textContent = `${hint.textContent} Click the map to choose a place.`.trim()
  map.classList.add('picks')
  let last
  for (const input of inputs) input.addEventListener('focus', () => (last = input))
  map.addEventListener('click', (event) => {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse())
    const lat = Math.min(85, Math.max(-65, 85 - y / 10))
    const lon = Math.min(180, Math.max(-180, x / 10 - 180))
    const input = last ?? inputs.find((one) => one.value === '') ?? inputs[0]
    input.value = `${lat.toFixed(2)},${lon.toFixed(2)}`
    map.querySelector(`.${input.id}`)?.remove()
    map.querySelector('.path')?.remove()
    const mark = document.createElementNS('http://www.w3.org/2000/svg', 'circle')
    for (const [name, value] of [['class', input.id], ['cx', x], ['cy', y], ['r', 22]]) mark.setAttribute(name, value)
    map.append(mark)
    // Two clicks are a path.
    last = inputs[(inputs.indexOf(input) + 1) % inputs.length]
    if (inputs.every((one) => one.value !== '')) input.form.querySelector('button').focus({ preventScroll: true })
  })
}

/** Shows the status again every few seconds, while somebody looks. */
function follow(live) {
  setInterval(async () => {
    // A part that is read or scrolled now is left alone.
    if (document.hidden || live.contains(document.activeElement)) return
    try {
      const answer = await fetch(location.href)
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
      const fresh = page.querySelector('[data-live]')
      if (answer.ok && fresh) live.replaceChildren(...fresh.children)
    } catch {
      // The next one may come through.
    }
  }, 5000)
}

const places = [...document.querySelectorAll('[data-place]')]
places.forEach(propose)
const map = document.querySelector('[data-map]')
if (map && places.length > 0) pick(map, places)
const live = document.querySelector('[data-live]')
if (live) follow(live)
