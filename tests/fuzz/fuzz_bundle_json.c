/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is read can be shown, and what is shown is read as the same again. */
#include <stdlib.h>
#include <string.h>

#include "profile/bundle_json.h"
#include "profile/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Simhop__Bundle *bundle = NULL, *again = NULL;
    char *json = NULL, *json_again = NULL, *text = NULL;
    /* A folder that does not exist: no file of this machine is read by a relative name. */
    if (sh_bundle_from_json(SH_BYTES(data, size), "/nonexistent", &bundle) != SH_OK)
        return 0;
    require(sh_bundle_to_json(bundle, true, &json) == SH_OK);
    require(sh_bundle_to_text(bundle, false, &text) == SH_OK);
    require(sh_bundle_from_json(SH_BYTES(json, strlen(json)), "/nonexistent", &again) == SH_OK);
    require(sh_bundle_to_json(again, true, &json_again) == SH_OK);
    require(strcmp(json, json_again) == 0);
    sh_free_secret(json);
    sh_free_secret(json_again);
    sh_free_secret(text);
    sh_bundle_content_free(bundle);
    sh_bundle_content_free(again);
    return 0;
}
