// Languages and time zones as `validate.preferences` takes them, held to `tests/conformance/locales.json`.

/** Whether this host can tell the time there: a page takes no other zones. */
const isKnown = (timeZone) => {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone }));
  } catch {
    return false;
  }
};

/** All that is answered otherwise than the lists say, and the zones that this host does not know, which a page refuses. */
export async function locales(open, lists, isPage) {
  const um = await open({});
  const { validate } = um.anonymous();
  const wrong = [];
  let played = 0;
  const play = async (field, given, wanted) => {
    const { errors, values } = await validate.preferences({ [field]: given });
    const said = errors[0]?.code ?? Object.values(values)[0];
    played += 1;
    if (said !== wanted) wrong.push({ given, said, wanted });
  };
  const unknown = lists.time_zones.filter((name) => !isKnown(name));
  for (const name of lists.time_zones) {
    const wanted = isPage && unknown.includes(name) ? "unknown_value" : name;
    for (const given of [name, name.toLowerCase(), name.toUpperCase()]) await play("timeZone", given, wanted);
  }
  for (const given of lists.no_time_zones) await play("timeZone", given, "unknown_value");
  for (const [given, kept] of Object.entries(lists.languages)) await play("language", given, kept);
  for (const given of lists.no_languages) await play("language", given, "invalid_format");
  await um.close();
  return { wrong, unknown, played };
}
