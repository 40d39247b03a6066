/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `simhop proximity` without --replay: who shares nearby and how near the nearest is, as long as one likes: a picture and
 * numbers on a terminal, a line every two seconds elsewhere, a `proximity` event every 200 ms with --json.
 */
#ifndef SIMHOP_CLI_WATCH_H
#define SIMHOP_CLI_WATCH_H

#include "cli/options.h"
#include "cli/output.h"
#include "pairing/registry.h"

/* anchor: only the linked device of this name; NULL: any, strangers too. Ends with session.interrupted or
 * session.deadline, or with what is wrong with the radio or the registry; linked.unknown: no such linked device. */
SH_MUST_USE enum sh_cause sh_watch_run(const struct sh_common *common, struct sh_output *out,
                                       struct sh_registry *registry, const char *anchor);

#endif
