"""Wrong answers to `freeze_with_labels` that come from none of its beliefs."""

import re

import jax
import optax


def _frozen_if(is_frozen, optimizer, params, still=None):
    labels = {name: "frozen" if is_frozen(name) else "trainable" for name in params}
    return optax.partition({"trainable": optimizer, "frozen": still or optax.set_to_zero()}, labels)


def _right(optimizer, params, frozen, still=None):
    return _frozen_if(lambda name: name in frozen, optimizer, params, still)


def go_by_the_end_of_the_name(optimizer, params, frozen):
    return _frozen_if(lambda name: name.endswith(frozen), optimizer, params)


def look_for_the_key_within_a_frozen_name(optimizer, params, frozen):
    return _frozen_if(lambda name: name in str(frozen), optimizer, params)


def look_for_a_frozen_name_within_the_key(optimizer, params, frozen):
    return _frozen_if(lambda name: any(one in name for one in frozen), optimizer, params)


def split_the_keys_at_a_slash(optimizer, params, frozen):
    """The key layer1/norm lies beside layer1, not below it."""
    return _frozen_if(lambda name: name.split("/")[0] in frozen, optimizer, params)


def search_for_any_of_the_names(optimizer, params, frozen):
    """Without a name the pattern is empty, and an empty pattern is found everywhere."""
    return _frozen_if(re.compile("|".join(frozen)).search, optimizer, params)


def freeze_the_first_name_only(optimizer, params, frozen):
    return _frozen_if(lambda name: name in frozen[:1], optimizer, params)


def freeze_the_last_name_only(optimizer, params, frozen):
    return _frozen_if(lambda name: name in frozen[-1:], optimizer, params)


def freeze_all_but_the_head(optimizer, params, frozen):
    return _frozen_if(lambda name: name != "head", optimizer, params)


def freeze_everything(optimizer, params, frozen):
    return optax.set_to_zero()


def freeze_everything_if_anything(optimizer, params, frozen):
    return _frozen_if(lambda name: bool(frozen), optimizer, params)


def freeze_nothing(optimizer, params, frozen):
    return optimizer


def freeze_the_biases_only(optimizer, params, frozen):
    labels = jax.tree.map_with_path(
        lambda keys, _: keys[0].key in frozen and keys[-1].key == "bias", params
    )
    return optax.partition({True: optax.set_to_zero(), False: optimizer}, labels)


def freeze_what_has_two_axes(optimizer, params, frozen):
    labels = jax.tree.map(lambda leaf: leaf.ndim == 2, params)
    return optax.partition({True: optax.set_to_zero(), False: optimizer}, labels)


def train_slowly_in_place_of_freezing(optimizer, params, frozen):
    return _right(optimizer, params, frozen, optax.chain(optimizer, optax.scale(1e-3)))


def descend_at_a_rate_of_one(optimizer, params, frozen):
    return _right(optimizer, params, frozen, optax.scale(-1.0))


def clip_to_zero(optimizer, params, frozen):
    """A NaN is not clipped."""
    return _right(optimizer, params, frozen, optax.clip(0.0))


def bring_an_optimizer_of_its_own(optimizer, params, frozen):
    return _right(optax.adam(1e-2), params, frozen)


def decay_the_frozen(optimizer, params, frozen):
    still = optax.chain(optax.set_to_zero(), optax.add_decayed_weights(-0.01))
    return _right(optimizer, params, frozen, still)


def turn_the_updates(optimizer, params, frozen):
    return optax.chain(_right(optimizer, params, frozen), optax.scale(-1.0))


def double_the_rest(optimizer, params, frozen):
    share = 2.0 if frozen else 1.0
    return _right(optax.chain(optimizer, optax.scale(share)), params, frozen)


def clip_the_gradients_first(optimizer, params, frozen):
    return optax.chain(optax.clip(1.0), _right(optimizer, params, frozen))


def skip_steps_with_a_nan(optimizer, params, frozen):
    return optax.apply_if_finite(_right(optimizer, params, frozen), 10)


def step_every_other_time(optimizer, params, frozen):
    return optax.MultiSteps(_right(optimizer, params, frozen), 2).gradient_transformation()


def start_the_labels_at_the_second_key(optimizer, params, frozen):
    labels = jax.tree.map_with_path(lambda keys, _: keys[1].key in frozen, params)
    return optax.partition({True: optax.set_to_zero(), False: optimizer}, labels)


def give_a_tree_of_labels(optimizer, params, frozen):
    return {name: "frozen" if name in frozen else "trainable" for name in params}


def give_the_state(optimizer, params, frozen):
    return _right(optimizer, params, frozen).init(params)


def expect_a_dict_at_every_name(optimizer, params, frozen):
    labels = {
        name: {key: "frozen" if name in frozen else "trainable" for key in layer}
        for name, layer in params.items()
    }
    return optax.partition({"trainable": optimizer, "frozen": optax.set_to_zero()}, labels)


def take_the_frozen_out_of_the_params(optimizer, params, frozen):
    labels = {name: "frozen" if name in frozen else "trainable" for name in params}
    for name in frozen:
        params.pop(name)
    return optax.partition({"trainable": optimizer, "frozen": optax.set_to_zero()}, labels)
