/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which nearness counts in this run: what --proximity says, within the limits of /etc/simhop/simhop.conf
 * (pairing/policy.h). To go without it is never silent: a person answers `yes`, on a terminal or by the descriptor
 * that codes come from, before the radio is used.
 */
#ifndef SIMHOP_CLI_CONSENT_H
#define SIMHOP_CLI_CONSENT_H

#include "cli/options.h"
#include "cli/output.h"
#include "pairing/policy.h"

#define SH_CONFIG_FILE      "/etc/simhop/simhop.conf"
#define SH_CONSENT_WAIT_S   120
#define SH_CONSENT_LINE_MAX 64

/* Takes no octet of the descriptor behind the line of the answer. Fails with usage.bad-option, usage.bad-config,
 * source.unreadable, refused.policy, refused.consent, session.interrupted, session.deadline. */
SH_MUST_USE enum sh_cause sh_consent_policy(const struct sh_common *common, struct sh_output *out,
                                            int fd, enum sh_proximity_policy *ret_policy);

#endif
