/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bundles and JSON: what `bundle create` reads and `bundle show --json` prints. Keys are the field names of
 * proto/simhop.proto, enumeration values are lower-case words ("companion-shared-number"), octets are hexadecimal, an
 * activation code is one string, an icon is base64 or, when reading, "icon_file": a path. Numbers over 2^53 are
 * strings of digits. docs/bundle.md has an example. Unknown keys, keys that come twice and values of the wrong kind are
 * refused, so that a typing error is not silently lost. A draft has no recipient, revision, token and consent.
 */
#ifndef SIMHOP_PROFILE_BUNDLE_JSON_H
#define SIMHOP_PROFILE_BUNDLE_JSON_H

#include "profile/bundle.h"

#define SH_BUNDLE_JSON_MAX (1024 * 1024)

/* Reads a draft's content. base_folder (may be NULL) is where a relative icon_file starts from.
 * *ret_bundle is freed with sh_bundle_content_free. Fails with usage.bad-input (detail: "lines[1].apns[0].ip_type:
 * ..."), activation.bad-code, bundle.*, source.unreadable, env.no-memory. */
SH_MUST_USE enum sh_cause sh_bundle_from_json(struct sh_bytes json, const char *base_folder,
                                              Simhop__Bundle **ret_bundle);

/* The whole bundle as a JSON object, indented; secrets (activation codes' matching ids, APN passwords, temporary tokens)
 * are shown only with reveal, else as "(hidden)". *ret_text is malloc'ed, freed with
 * sh_free_secret (text.h). Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_bundle_to_json(const Simhop__Bundle *bundle, bool reveal,
                                            char **ret_text);

/* The same for a person: some lines of text a line. */
SH_MUST_USE enum sh_cause sh_bundle_to_text(const Simhop__Bundle *bundle, bool reveal,
                                            char **ret_text);

#endif
