"""The certificate's quantities over a training run."""
