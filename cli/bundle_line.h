/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `bundle create --line`: "iccid=...,apn=internet,..." on the command line becomes the JSON that --from reads. An activation code is
 * given as code=@FILE, for every user of the machine can read a command line.
 */
#ifndef SIMHOP_CLI_BUNDLE_LINE_H
#define SIMHOP_CLI_BUNDLE_LINE_H

#include "cli/options.h"
#include "proto/msg.h"

/* *ret_bundle is freed with sh_bundle_content_free. Fails with usage.bad-option and as sh_bundle_from_json does; the detail
 * starts with "--line". */
SH_MUST_USE enum sh_cause sh_bundle_from_lines(const struct sh_list *specs,
                                               Simhop__Bundle **ret_bundle);

#endif
