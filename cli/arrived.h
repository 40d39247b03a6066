/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a sync brought, kept beyond its session, and handed to the installers.
 */
#ifndef SIMHOP_CLI_ARRIVED_H
#define SIMHOP_CLI_ARRIVED_H

#include "cli/session.h"
#include "profile/installer.h"

struct sh_arrived {
    struct sh_session_summary summary; /* its items, names and paths are ours */
};

SH_MUST_USE enum sh_cause sh_arrived_copy(struct sh_arrived *arrived,
                                          const struct sh_session_summary *summary);
void sh_arrived_clear(struct sh_arrived *arrived);

/* Gives each bundle and item to each installer that applies. The first failure ends it; the data is kept.
 * Fails with install.*, what opening the bundle gives, session.interrupted. */
SH_MUST_USE enum sh_cause sh_arrived_install(const struct sh_arrived *arrived,
                                             const struct sh_install_config *config,
                                             struct sh_output *out);

#endif
