/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same bytes as a SignedBundle (nearly always refused) and as the Bundle inside; one that passes the checks can be
 * shown, and its APNs become keyfiles. */
#include <stdlib.h>
#include <string.h>

#include "profile/bundle_json.h"
#include "profile/nm_keyfile.h"
#include "profile/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void show(const Simhop__Bundle *bundle)
{
    for (int reveal = 0; reveal < 2; reveal++) {
        char *json = NULL, *text = NULL;
        require(sh_bundle_to_json(bundle, reveal, &json) == SH_OK);
        require(sh_bundle_to_text(bundle, reveal, &text) == SH_OK);
        sh_free_secret(json);
        sh_free_secret(text);
    }
}

static void make_keyfiles(const Simhop__Bundle *bundle)
{
    for (size_t i = 0; i < bundle->n_lines; i++) {
        const Simhop__ProfileInstance *line = bundle->lines[i];
        for (size_t a = 0; a < line->n_apns; a++) {
            char *text = NULL;
            if (!sh_nm_is_wanted(line, line->apns[a]))
                continue;
            if (sh_nm_keyfile(bundle, line, line->apns[a], &text) == SH_OK) {
                require(sh_nm_is_ours(text, bundle, line));
                require(!strstr(text, "\nnetwork-id="));
            }
            sh_free_secret(text);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_bundle *opened = NULL;
    ProtobufCMessage *message = NULL;
    if (sh_bundle_open(SH_BYTES(data, size), SH_BYTES(NULL, 0), &opened) == SH_OK) {
        show(opened->bundle);
        make_keyfiles(opened->bundle);
    }
    sh_bundle_free(opened);
    if (sh_unpack(&simhop__bundle__descriptor, SH_BYTES(data, size), SH_BUNDLE_MAX, &message) ==
        SH_OK) {
        Simhop__Bundle *bundle = (Simhop__Bundle *)message;
        if (sh_bundle_validate(bundle) == SH_OK) {
            show(bundle);
            make_keyfiles(bundle);
        }
        sh_bundle_content_free(bundle);
    }
    return 0;
}
